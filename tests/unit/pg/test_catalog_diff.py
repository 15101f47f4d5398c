"""When two catalogs describe the same database. No server: catalogs are plain values."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.catalog.catalog import (
    Catalog,
    Key,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.catalog.catalog_diff import (
    diff,
    views_to_redefine,
)

TABLE = Key("table", ("public", "t"))
VIEW = Key("view", ("public", "v"))
SCHEMA = Key("schema", ("public",))


def catalog(version=170000, **objects):
    return Catalog(version, {KEYS[name]: value for name, value in objects.items()}, {})


KEYS = {
    "table": TABLE,
    "view": VIEW,
    "schema": SCHEMA,
    "trigger": Key("trigger", ("public", "t", "g")),
    "index": Key("index", ("public", "i")),
    "extension": Key("extension", ("hstore",)),
    "setting": Key("setting", ("clerk",)),
    "defaults": Key("default privileges", ("clerk", "public", "r")),
    "policy": Key("policy", ("public", "t", "p")),
    "lobs": Key("large objects", ("clerk",)),
}


def acl(*entries):
    return [[grantee, privilege, False] for grantee, privilege in entries]


def told(source, target, role_map=None, redefined=None):
    return [str(each) for each in diff(source, target, role_map or {}, redefined)]


def differences(source, target, role_map=None):
    return [str(each) for each in diff(source, target, role_map or {}) if not each.note]


def test_equal_catalogs_have_no_differences():
    one = {"table": {"owner": "a"}, "index": {"definition": "x"}}
    assert told(catalog(**one), catalog(**one)) == []


def test_a_missing_an_extra_and_a_changed_object_are_told():
    source = catalog(table={"persistence": "u"}, index={})
    target = catalog(table={}, view={"definition": ""})
    assert told(source, target) == [
        "index public.i is missing on the target",
        "table public.t: persistence is u on the source and not set on the target",
        "view public.v is only on the target",
    ]


@pytest.mark.parametrize(
    "source, target, role_map, equal",
    [
        pytest.param("a", "a", {}, True, id="same"),
        pytest.param("a", "b", {}, False, id="another"),
        pytest.param("a", "b", {"a": "b"}, True, id="renamed"),
        pytest.param("a", "a", {"a": "b"}, False, id="not-renamed"),
        pytest.param("a", "whoever", {"a": None}, True, id="dropped"),
        pytest.param("postgres", "pg_database_owner", {}, True, id="schema-public-since-15"),
    ],
)
def test_owners_are_compared_under_their_new_names(source, target, role_map, equal):
    one, other = catalog(schema={"owner": source}), catalog(schema={"owner": target})
    assert (told(one, other, role_map) == []) is equal


@pytest.mark.parametrize(
    "source, target, role_map, equal",
    [
        pytest.param([("a", "SELECT")], [("a", "SELECT")], {}, True, id="same"),
        pytest.param([("a", "SELECT")], [], {}, False, id="lost"),
        pytest.param([("a", "SELECT")], [("b", "SELECT")], {"a": "b"}, True, id="renamed"),
        pytest.param([("a", "SELECT")], [], {"a": None}, True, id="dropped"),
        pytest.param([], [("", "SELECT")], {}, False, id="public"),
        pytest.param(
            [("o", "SELECT")], [("o", "SELECT"), ("o", "MAINTAIN")], {}, True, id="maintain"
        ),
        pytest.param([("o", "INSERT")], [("n", "INSERT")], {"o": "n"}, True, id="owner"),
        pytest.param([("o", "INSERT")], [("x", "INSERT")], {"o": None}, True, id="owner-dropped"),
    ],
)
def test_grants_are_compared_under_new_names_and_as_both_majors_know_them(
    source, target, role_map, equal
):
    one = catalog(150000, table={"owner": "o", "acl": acl(*source)})
    other = catalog(table={"owner": role_map.get("o", "o") or "x", "acl": acl(*target)})
    assert (told(one, other, role_map) == []) is equal


def test_maintain_counts_where_both_majors_know_it():
    one = catalog(table={"acl": acl(("a", "MAINTAIN"))})
    assert len(told(one, catalog(table={"acl": []}))) == 1


def test_objects_that_are_named_by_roles_follow_the_role_map():
    source = catalog(defaults={"acl": []}, setting={"settings": ["a=1"]})
    renamed = Catalog(
        170000,
        {
            Key("default privileges", ("desk", "public", "r")): {"acl": []},
            Key("setting", ("desk",)): {"settings": ["a=1"]},
        },
        {},
    )
    assert told(source, renamed, {"clerk": "desk"}) == []
    assert told(source, catalog(), {"clerk": None}) == []


def test_roles_of_policies_follow_the_role_map():
    source, target = catalog(policy={"roles": ["a", "b"]}), catalog(policy={"roles": ["c"]})
    assert told(source, target, {"a": "c", "b": None}) == []
    assert len(told(source, target)) == 1


def test_owners_of_large_objects_are_compared_by_their_number_and_grants():
    grants = [[2, acl(("clerk", "SELECT"))], [1, acl(("", "SELECT"))]]
    source = catalog(lobs={"count": 3, "grants": grants})
    same = catalog(lobs={"count": 3, "grants": grants[::-1]})
    other = catalog(lobs={"count": 3, "grants": [[3, acl(("clerk", "SELECT"))]]})
    assert told(source, same) == []
    assert len(told(source, other)) == 1


@pytest.mark.parametrize(
    "name, properties",
    [
        pytest.param("setting", {"settings": ["a=1"]}, id="a-setting"),
        pytest.param("index", {"definition": "x", "invalid": True}, id="an-invalid-index"),
    ],
)
def test_what_copies_leave_out_is_a_note(name, properties):
    source = catalog(**{name: properties})
    assert [each.note for each in diff(source, catalog(), {})] == [True]


def test_an_index_that_became_invalid_is_a_difference():
    source = catalog(index={"definition": "x"})
    assert differences(source, catalog(index={"definition": "x", "invalid": True}))


def test_another_version_of_an_extension_is_a_note_and_a_missing_one_is_not():
    source = catalog(extension={"version": "1.7"})
    assert differences(source, catalog(extension={"version": "1.8"})) == []
    assert differences(source, catalog()) == ["extension hstore is missing on the target"]


def test_only_what_15_grants_otherwise_in_public_is_a_note():
    source = catalog(140000, schema={"acl": acl(("", "CREATE"), ("", "USAGE"))})
    assert differences(source, catalog(schema={"acl": acl(("", "USAGE"))})) == []
    assert differences(source, catalog(schema={"acl": []})) != []


@pytest.mark.parametrize(
    "source, target",
    [
        ('SELECT "merge" FROM t', "SELECT merge FROM t"),
        ("SELECT t.a\n   FROM public.t", "SELECT a FROM public.t"),
        (
            "CREATE TRIGGER g EXECUTE PROCEDURE public.f()",
            "CREATE TRIGGER g EXECUTE FUNCTION public.f()",
        ),
    ],
)
def test_what_majors_print_otherwise_is_equal_between_them_only(source, target):
    one, other = {"definition": source, "enabled": "O"}, {"definition": target, "enabled": "O"}
    assert told(catalog(150000, trigger=one), catalog(trigger=other)) == []
    assert len(told(catalog(trigger=one), catalog(trigger=other))) == 1


def test_a_view_is_compared_as_the_target_prints_it():
    source = catalog(150000, view={"definition": "SELECT date_part('year', x)"})
    target = catalog(view={"definition": "SELECT EXTRACT(year FROM x)"})
    assert views_to_redefine(source, target) == {VIEW: "SELECT date_part('year', x)"}
    assert told(source, target, redefined={VIEW: "SELECT EXTRACT(year FROM x)"}) == []
    assert len(told(source, target)) == 1


def test_names_are_shown_as_a_person_writes_them():
    assert str(Key("column", ("public", "Orders", 'a"b'))) == 'column public."Orders"."a""b"'
    assert str(Key("function", ("s", "f", "integer, text[]"))) == "function s.f(integer, text[])"


def test_long_values_are_cut():
    source, target = catalog(view={"definition": "x" * 999}), catalog(view={"definition": "y"})
    [difference] = diff(source, target, {})
    assert len(difference.source) < 220
