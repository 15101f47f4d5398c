"""What an audit concludes from facts, and how long it expects a copy to take. No server."""

import re
from dataclasses import replace

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.audit import audit_sql
from ansible_collections.landbridge.migration.plugins.module_utils.pg.audit.audit import estimate
from ansible_collections.landbridge.migration.plugins.module_utils.pg.audit.audit_facts import (
    Facts,
    Hazard,
    Index,
    Role,
    Server,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.audit.audit_hazards import (
    HAZARDS,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.audit.audit_rules import (
    Question,
    findings,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.catalog.catalog import (
    Catalog,
    Key,
    Table,
)

SERVER = Server(
    oid=5,
    dbname="shop",
    encoding="UTF8",
    datcollate="C",
    datctype="C",
    owner="admin",
    may_fence=True,
    user="admin",
    superuser=False,
    createrole=True,
    may_signal=True,
    may_create=True,
    size_bytes=1,
    wal_level="replica",
    started="2024-01-01",
)
ADMIN = Role("admin", superuser=False, login=True, member=True, connects=True, sessions=0)


def facts(version=170000, identifier="1", objects=None, **changes):
    server = SERVER._replace(**{k: changes.pop(k) for k in list(changes) if k in Server._fields})
    catalog = Catalog(version, objects or {}, {})
    return replace(Facts(version, identifier, server, catalog, {"admin": ADMIN}, {}), **changes)


def codes(source, target=None, *, role_map=None, mode="window", fence=True):
    question = Question(source, target, role_map or {}, mode, fence)
    return [(each.severity, each.code) for each in findings(question)]


def test_two_fit_sides_have_no_findings():
    assert codes(facts(), facts(identifier="2")) == []


@pytest.mark.parametrize(
    "source, target, found",
    [
        pytest.param(facts(), facts(), [("blocker", "same_database")], id="same"),
        pytest.param(facts(), facts(oid=6), [], id="same-server-other-database"),
        pytest.param(
            facts(identifier=None),
            facts(identifier=None),
            [("blocker", "same_database")],
            id="identifier-hidden-started-together",
        ),
        pytest.param(
            facts(identifier=None),
            facts(identifier=None, started="2025-01-01"),
            [],
            id="identifier-hidden-started-apart",
        ),
        pytest.param(
            facts(), facts(identifier="2", encoding="LATIN1"), [("blocker", "encoding")],
            id="encoding",
        ),
        pytest.param(
            facts(), facts(identifier="2", datcollate="de_DE"), [("warning", "locale")], id="locale"
        ),
        pytest.param(
            facts(170000), facts(160000, "2"), [("blocker", "older_major")], id="older"
        ),
        pytest.param(
            facts(100000),
            facts(120000, "2"),
            [("blocker", "unsupported_major")],
            id="target-too-old",
        ),
        pytest.param(
            facts(), facts(identifier="2", may_create=False), [("blocker", "may_not_create")],
            id="may-not-create",
        ),
    ],
)  # fmt: skip
def test_two_sides_that_do_not_fit(source, target, found):
    assert codes(source, target) == found


@pytest.mark.parametrize(
    "available, allowed, found",
    [
        pytest.param({"hstore": ["1.8"]}, None, [], id="there"),
        pytest.param({}, None, [("blocker", "extension_missing")], id="missing"),
        pytest.param({"hstore": ["1.9"]}, None, [("note", "extension_version")], id="newer"),
        pytest.param(
            {"hstore": ["1.8"]},
            frozenset({"citext"}),
            [("blocker", "extension_not_allowed")],
            id="not-on-the-providers-list",
        ),
    ],
)
def test_extensions_must_be_available(available, allowed, found):
    source = facts(objects={Key("extension", ("hstore",)): {"version": "1.8"}})
    target = facts(identifier="2", extensions=available, allowed=allowed)
    assert codes(source, target) == found


def role(rolname, **changes):
    return {rolname: Role(rolname, False, True, True, True, 0)._replace(**changes)}


OWNED = {Key("table", ("public", "t")): {"owner": "clerk", "acl": [["clerk", "SELECT", False]]}}
GRANTED = {Key("table", ("public", "t")): {"owner": "admin", "acl": [["clerk", "SELECT", False]]}}


@pytest.mark.parametrize(
    "objects, target_roles, role_map, found",
    [
        pytest.param(OWNED, role("clerk"), {}, [], id="there"),
        pytest.param(OWNED, {}, {}, [("warning", "role_missing")], id="missing"),
        pytest.param(OWNED, role("desk"), {"clerk": "desk"}, [], id="mapped"),
        pytest.param(OWNED, {}, {"clerk": None}, [], id="left-out"),
        pytest.param(
            OWNED,
            role("clerk", member=False),
            {},
            [("blocker", "role_not_grantable")],
            id="owner-is-not-ours",
        ),
        pytest.param(GRANTED, role("clerk", member=False), {}, [], id="grantee-need-not-be-ours"),
    ],
)
def test_roles_must_be_on_the_target(objects, target_roles, role_map, found):
    target = facts(identifier="2", roles={"admin": ADMIN, **target_roles})
    assert codes(facts(objects=objects), target, role_map=role_map) == found


def test_before_16_createrole_may_join_any_role():
    target = facts(150000, "2", roles={"admin": ADMIN, **role("clerk", member=False)})
    assert codes(facts(150000, objects=OWNED), target) == []


@pytest.mark.parametrize(
    "changes, found",
    [
        pytest.param({"may_fence": False}, [("blocker", "may_not_fence")], id="not-the-owners"),
        pytest.param({"may_signal": False}, [("blocker", "may_not_signal")], id="no-signal"),
        pytest.param(
            {"roles": {"admin": ADMIN._replace(sessions=2)}},
            [("blocker", "unfenceable_role")],
            id="the-application-uses-our-role",
        ),
        pytest.param(
            {"roles": role("root", superuser=True, sessions=1)},
            [("warning", "unfenceable_role")],
            id="a-superuser-is-here",
        ),
        pytest.param({"roles": role("root", superuser=True)}, [], id="a-superuser-is-not-here"),
    ],
)
def test_what_a_fence_needs_and_cannot_hold(changes, found):
    assert codes(facts(**changes)) == found
    assert codes(facts(**changes), fence=False) == []


def test_many_objects_of_a_kind_are_one_finding():
    source = facts(hazards=[Hazard("unlogged", f"public.t{n}") for n in range(9)])
    [finding] = findings(Question(source, None, {}, "window", True))
    assert finding.object == "public.t0, public.t1, public.t2, public.t3, public.t4 and 4 more"


def test_every_hazard_that_a_query_names_has_words():
    named = set()
    for version, mode in ((100000, "live"), (170000, "window")):
        text = audit_sql.hazards_query(version, mode)
        named |= set(re.findall(r"(?:SELECT|THEN|ELSE) '([a-z_]+)'", text))
    assert named == set(HAZARDS)
    assert all(text.message for text in HAZARDS.values())


def test_blockers_come_first():
    source = facts(hazards=[Hazard("unlogged", "a"), Hazard("unreadable", "b")])
    assert [code for code, _ in codes(source)] == ["blocker", "note"]


def table(name, pages):
    return Table("public", name, "r", (), (), pages, 1.0, 0, True, "")


def test_a_copy_takes_as_long_as_its_work_over_its_jobs():
    tables = [table(f"t{n}", 20752) for n in range(10)]  # 170 MB each: a second
    plan = estimate(tables, [], jobs=5)
    assert plan.copy_s == pytest.approx(10, rel=0.01)
    assert plan.predicted_s == pytest.approx(2 + 2.04, rel=0.01)


def test_a_copy_takes_no_less_than_its_longest_table():
    indexes = [Index("public.big", "gin", 100_000_000), Index("public.big", "btree", 50_000_000)]
    plan = estimate([table("big", 20752), table("small", 1)], indexes, jobs=8)
    assert plan.longest == "public.big"
    assert plan.longest_s == pytest.approx(16, rel=0.01)
    assert plan.predicted_s == pytest.approx(18, rel=0.01)


def test_an_empty_database_has_a_plan():
    assert estimate([], [], jobs=2).longest == ""
