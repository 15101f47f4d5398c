"""What role_plan decides. No server: roles and memberships are plain values."""

from dataclasses import replace

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.roles.role_plan import (
    Alter,
    Comment,
    Configure,
    Create,
    Join,
    Target,
    Wanted,
    mapped,
    plan,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.roles.role_sql import (
    split_list,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.roles.roles import (
    Grant,
    Member,
    Needed,
    Options,
    Role,
    Roles,
    closure,
)

ME = Role("me", rolcanlogin=True, rolcreaterole=True, rolcreatedb=True, rolreplication=True)
OWNER, APP = Role("owner"), Role("app", rolcanlogin=True)


def target(*roles, grants=(), version=17, administered=(), me=ME):
    known = {role.rolname: role for role in (me, *roles)}
    return Target(Roles(known, grants, version), "me", administered, {"work_mem", "search_path"})


def wanted(*roles, memberships=None, owners=()):
    return Wanted({role.rolname: role for role in roles}, memberships or {}, frozenset(owners))


def test_missing_roles_are_made_before_their_memberships():
    member = Member("owner", "app")
    changes = plan(wanted(APP, OWNER, memberships={member: Options()}), target()).changes
    assert changes == [Create(APP), Create(OWNER), Join(member, None, Options())]


def test_the_administrator_joins_each_owner():
    planned = plan(wanted(OWNER, owners=["owner"]), target())
    assert planned.changes[-1] == Join(Member("owner", "me"), None, Options())


def test_admin_option_alone_is_not_enough_to_act_as_an_owner():
    creators = Grant(Member("owner", "me"), "postgres", Options(True, False, False))
    there = target(OWNER, grants=[creators], administered={"owner"})
    changes = plan(wanted(OWNER, owners=["owner"]), there).changes
    assert changes == [Join(Member("owner", "me"), Options(True, False, False), Options())]


def test_an_administrator_that_can_act_as_the_owner_is_left_alone():
    grant = Grant(Member("owner", "me"), "me", Options())
    assert plan(wanted(OWNER, owners=["owner"]), target(OWNER, grants=[grant])).changes == []


def test_only_what_differs_is_altered():
    found = replace(APP, rolconnlimit=5, settings={"work_mem": "1MB"}, comment="old")
    new = replace(APP, rolcreatedb=True, settings={"work_mem": "2MB"}, comment="new")
    assert plan(wanted(new), target(found, administered={"app"})).changes == [
        Alter("app", {"rolcreatedb": False, "rolconnlimit": 5},
              {"rolcreatedb": True, "rolconnlimit": -1}),
        Configure("app", "work_mem", "1MB", "2MB"),
        Comment("app", "old", "new"),
    ]  # fmt: skip


def test_settings_and_comments_that_only_the_target_has_stay():
    found = replace(APP, settings={"work_mem": "1MB"}, comment="theirs")
    assert plan(wanted(APP), target(found, administered={"app"})).changes == []


@pytest.mark.parametrize(
    "attribute, version, given",
    [
        pytest.param("rolsuper", 17, False, id="SUPERUSER-never"),
        pytest.param("rolreplication", 17, True, id="REPLICATION-that-it-has"),
        pytest.param("rolbypassrls", 17, False, id="BYPASSRLS-that-it-lacks"),
        pytest.param("rolreplication", 15, False, id="REPLICATION-before-16"),
        pytest.param("rolcreatedb", 15, True, id="CREATEDB-before-16"),
        pytest.param("rolcreaterole", 17, True, id="CREATEROLE"),
    ],
)
def test_an_attribute_is_given_or_found_wanting(attribute, version, given):
    planned = plan(wanted(replace(APP, **{attribute: True})), target(version=version))
    assert getattr(planned.changes[0].role, attribute) is given
    assert [finding.code for finding in planned.findings] == (
        [] if given else ["role_attribute_refused"]
    )


def test_from_16_on_a_role_of_someone_else_is_told_and_not_altered():
    planned = plan(wanted(replace(APP, rolcreatedb=True)), target(APP))
    assert planned.changes == []
    assert [finding.code for finding in planned.findings] == ["role_not_administered"]
    assert plan(wanted(replace(APP, rolcreatedb=True)), target(APP, version=15)).changes != []


def test_an_owner_that_cannot_be_joined_is_a_blocker():
    [finding] = plan(wanted(OWNER, owners=["owner"]), target(OWNER)).findings
    assert (finding.code, finding.severity) == ("role_not_grantable", "blocker")
    assert finding.remedy.endswith('GRANT "owner" TO "me"')


def test_a_predefined_role_needs_admin_option_in_every_major():
    monitor = Role("pg_monitor", predefined=True)
    member = {Member("pg_monitor", "app"): Options()}
    for version in (15, 17):
        there = target(APP, monitor, version=version)
        assert [f.code for f in plan(wanted(memberships=member), there).findings] == [
            "role_not_grantable"
        ]
        there = replace(there, administered={"pg_monitor"})
        assert len(plan(wanted(memberships=member), there).changes) == 1


def test_a_group_that_the_target_lacks_is_told():
    planned = plan(wanted(APP, memberships={Member("rds_superuser", "app"): Options()}), target())
    assert [finding.code for finding in planned.findings] == ["role_missing"]


def test_options_that_an_older_target_cannot_express_are_told():
    member = {Member("owner", "app"): Options(False, False, True)}
    planned = plan(wanted(memberships=member), target(OWNER, APP, version=15))
    assert planned.changes == [Join(Member("owner", "app"), None, Options(False, True, True))]
    assert [finding.code for finding in planned.findings] == ["membership_options_lost"]


def test_the_administrators_own_attributes_are_left_alone():
    assert plan(wanted(Role("me")), target()).changes == []


ALL = Roles(
    {n: Role(n) for n in ("a", "b", "c", "group", "admin")}
    | {"pg_monitor": Role("pg_monitor", predefined=True)},
    [
        Grant(Member("group", "a"), None, Options()),
        Grant(Member("group", "b"), None, Options(True, True, True)),
        Grant(Member("group", "admin"), None, Options()),
        Grant(Member("c", "admin"), None, Options()),
        Grant(Member("pg_monitor", "a"), None, Options()),
        Grant(Member("pg_monitor", "c"), None, Options()),
    ],
    17,
)  # fmt: skip


def test_members_and_groups_are_needed_too_but_not_through_the_servers_own_roles():
    assert closure(["a"], ALL, "admin") == {"a", "b", "group"}


def test_a_role_takes_its_new_name_and_those_mapped_to_null_are_left_out():
    needed = Needed(frozenset({"a", "b", "group"}), frozenset({"group", "b"}))
    made = mapped(ALL, needed, {"group": "team", "b": None})
    assert sorted(made.roles) == ["a", "team"]
    assert made.memberships == {
        Member("team", "a"): Options(), Member("pg_monitor", "a"): Options(),
    }  # fmt: skip
    assert made.owners == {"team"}


def test_two_roles_mapped_to_one_become_one_that_can_do_what_both_could():
    roles = Roles({"a": replace(APP, rolname="a"), "b": Role("b", rolcreatedb=True)}, [], 17)
    made = mapped(roles, Needed(frozenset("ab"), frozenset()), {"a": "x", "b": "x"})
    assert (made.roles["x"].rolcanlogin, made.roles["x"].rolcreatedb) == (True, True)


@pytest.mark.parametrize(
    "value, elements",
    [
        pytest.param('"$user", public', ["$user", "public"], id="as-postgres-writes-it"),
        pytest.param('"a, b", "say ""hi""", c', ["a, b", 'say "hi"', "c"], id="quotes-and-commas"),
        pytest.param('""', [""], id="empty"),
        pytest.param('"", public', ["", "public"], id="empty-among-others"),
        pytest.param("", [""], id="nothing"),
    ],
)
def test_a_list_is_split_as_postgres_joined_it(value, elements):
    assert split_list(value) == elements
