"""pg_roles against real servers; its findings are looked at from outside, as the superuser."""

import secrets
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PostgresError
from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.roles import (
    role_apply,
    server_roles,
)
from ansible_collections.landbridge.migration.plugins.modules import pg_roles

pytestmark = pytest.mark.postgres

MAJORS = [
    pytest.param(marks=pytest.mark.source_major(15), id="15-to-17"),
    pytest.param(marks=pytest.mark.source_major(17), id="17-to-17"),
    pytest.param(marks=[pytest.mark.source_major(15), pytest.mark.target_major(15)], id="15-to-15"),
]

# Names carry capitals, quotes and percent signs; {t} makes them this test's.
ROLES = """
CREATE ROLE "{t} Owner" NOLOGIN;
CREATE ROLE "{t}_app" LOGIN PASSWORD 'source-only' CONNECTION LIMIT 40 IN ROLE "{t} Owner";
CREATE ROLE "{t}_read%" NOLOGIN NOINHERIT;
CREATE ROLE "{t}_report" LOGIN VALID UNTIL '2099-01-01 00:00+02';
GRANT "{t}_read%" TO "{t}_report" WITH ADMIN OPTION;
CREATE ROLE "{t}_boss" LOGIN CREATEDB CREATEROLE REPLICATION BYPASSRLS;
CREATE ROLE "{t}_elsewhere" LOGIN;
ALTER ROLE "{t}_app" SET search_path = "$user", "Odd ""path", public;
ALTER ROLE "{t}_app" SET statement_timeout = '30s';
ALTER ROLE "{t}_app" SET log_statement = 'all';
COMMENT ON ROLE "{t}_app" IS 'the shop''s own; 100% needed';
GRANT pg_monitor TO "{t}_report";
GRANT "{t} Owner" TO landbridge_admin;
"""
OBJECTS = """
CREATE SCHEMA s AUTHORIZATION "{t} Owner";
CREATE TABLE s.item (id int);
ALTER TABLE s.item OWNER TO "{t} Owner";
GRANT SELECT ON s.item TO "{t}_read%", "{t}_boss";
"""
OTHER_DATABASE = """
CREATE TABLE theirs (id int);
ALTER TABLE theirs OWNER TO "{t}_elsewhere";
"""

SEEN = """\
SELECT rolname, rolcanlogin, rolinherit, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
       rolconnlimit, rolvaliduntil::text, rolconfig, shobj_description(oid, 'pg_authid')
  FROM pg_roles WHERE rolname LIKE %s ORDER BY rolname"""

MEMBERS = """\
SELECT granted.rolname, member.rolname, admin_option
  FROM pg_auth_members AS m
  JOIN pg_roles AS granted ON granted.oid = roleid JOIN pg_roles AS member ON member.oid = member
 WHERE member.rolname LIKE %s ORDER BY 1, 2"""


class Case:
    """The parameters of a call, and the same facts seen from outside."""

    def __init__(self, source, target, source_server, target_server):
        self.t = f"t{secrets.token_hex(3)}"
        self.source_server, self.target_server = source_server, target_server
        self.password = f"canary/{secrets.token_hex(8)}"
        self.params = {
            "source": {**source, "dbname": "postgres"},
            "target": {**target, "dbname": "postgres"},
            "databases": [source["dbname"]],
            "passwords": {f"{self.t}_app": self.password},
        }
        with source_server.as_superuser() as conn:
            conn.execute(ROLES.format(t=self.t))
        for name, text in ((source["dbname"], OBJECTS), ("postgres", OTHER_DATABASE)):
            with psycopg.connect(**{**source_server.superuser, "dbname": name}) as conn:
                conn.execute(text.format(t=self.t))

    def seen(self, query, server):
        with server.as_superuser() as conn:
            return conn.execute(query, [f"{self.t}%"]).fetchall()

    def clear(self):
        with self.source_server.as_superuser() as conn:
            conn.execute("DROP TABLE theirs")

    def logs_in(self, role, password):
        server = {**self.params["target"], "user": role, "password": password}
        try:
            with connect("test", server):
                return True
        except PostgresError:
            return False


@pytest.fixture
def case(source, target, source_server, target_server):
    made = Case(source, target, source_server, target_server)
    yield made
    made.clear()


def named(result, what):
    return sorted(c["role"] for c in result["changes"] if c["what"] == what)


@pytest.mark.parametrize("", MAJORS)
def test_the_databases_roles_end_as_on_the_source_and_a_second_run_changes_nothing(
    case, run_module
):
    first = run_module(pg_roles, **case.params)
    t = case.t
    assert first["roles"] == [f"{t} Owner", f"{t}_app", f"{t}_boss", f"{t}_read%", f"{t}_report"]
    assert run_module(pg_roles, **case.params)["changes"] == []

    wanted = {row[0]: row for row in case.seen(SEEN, case.source_server)}
    found = {row[0]: row for row in case.seen(SEEN, case.target_server)}
    for role in ("_read%", "_report", " Owner"):
        assert found[t + role] == wanted[t + role]
    app = found[f"{t}_app"]
    assert app[:9] == wanted[f"{t}_app"][:9]
    assert app[9] == ['search_path="$user", "Odd ""path", public', "statement_timeout=30s"]
    assert app[10] == "the shop's own; 100% needed"
    grants = case.seen(MEMBERS, case.target_server)
    assert (f"{t}_read%", f"{t}_report", True) in grants
    assert (f"{t} Owner", f"{t}_app", False) in grants
    assert ("pg_monitor", f"{t}_report", False) in grants


def test_what_an_administrator_may_not_give_is_a_finding_and_the_rest_is_made(case, run_module):
    result = run_module(pg_roles, **case.params)
    told = {(f["code"], f["object"], f["severity"]) for f in result["findings"]}
    assert ("role_attribute_refused", f"role {case.t}_boss", "warning") in told
    assert ("role_setting_refused", f"role {case.t}_app", "warning") in told
    boss = {row[0]: row for row in case.seen(SEEN, case.target_server)}[f"{case.t}_boss"]
    # LOGIN, INHERIT, CREATEDB, CREATEROLE, REPLICATION (the admin has it), no BYPASSRLS
    assert boss[1:7] == (True, True, True, True, True, False)


def test_the_administrator_can_act_as_each_owner(case, run_module):
    run_module(pg_roles, **case.params)
    with connect("test", case.params["target"]) as conn:
        conn.execute(f'SET ROLE "{case.t} Owner"')


def test_roles_of_other_databases_stay_where_they_are(case, run_module):
    result = run_module(pg_roles, **case.params)
    assert f"{case.t}_elsewhere" not in result["roles"]


def test_a_role_takes_its_name_on_the_target_and_null_leaves_it_out(case, run_module):
    t = case.t
    role_map = {f"{t} Owner": f"{t}_renamed", f"{t}_boss": None}
    result = run_module(pg_roles, **case.params, role_map=role_map)
    assert result["roles"] == [f"{t}_app", f"{t}_read%", f"{t}_renamed", f"{t}_report"]
    assert (f"{t}_renamed", f"{t}_app", False) in case.seen(MEMBERS, case.target_server)
    assert run_module(pg_roles, **case.params, role_map=role_map)["changed"] is False


def test_check_mode_tells_the_same_changes_and_makes_none(case, run_module):
    due = run_module(pg_roles, check_mode=True, **case.params)
    assert case.seen(SEEN, case.target_server) == []
    made = run_module(pg_roles, **case.params)
    assert made["changes"] == due["changes"]
    assert made["changes_count"] > 10


def test_a_given_password_is_set_and_only_when_it_does_not_work_already(case, run_module):
    role = f"{case.t}_app"
    assert named(run_module(pg_roles, **case.params), "password") == [role]
    assert case.logs_in(role, case.password)
    assert named(run_module(pg_roles, **case.params), "password") == []
    case.params["passwords"] = {role: "another canary"}
    assert named(run_module(pg_roles, check_mode=True, **case.params), "password") == [role]
    assert named(run_module(pg_roles, **case.params), "password") == [role]
    assert case.logs_in(role, "another canary")
    assert not case.logs_in(role, case.password)


def test_a_password_that_works_is_left_alone_though_its_role_may_not_enter(case, run_module):
    run_module(pg_roles, **case.params)
    with case.target_server.as_superuser() as conn:
        conn.execute(f'ALTER ROLE "{case.t}_app" NOLOGIN')
    changes = run_module(pg_roles, check_mode=True, **case.params)["changes"]
    assert [(c["role"], c["what"]) for c in changes] == [(f"{case.t}_app", "attributes")]


def test_the_servers_log_never_holds_a_password(case, run_module):
    before = case.target_server.log.stat().st_size  # other tests have logged what they like
    with case.target_server.as_superuser() as conn:
        conn.execute("ALTER ROLE landbridge_admin SET log_statement = 'all'")
    try:
        run_module(pg_roles, **case.params)
        log = case.target_server.log.read_bytes()[before:].decode()
    finally:
        with case.target_server.as_superuser() as conn:
            conn.execute("ALTER ROLE landbridge_admin RESET log_statement")
    assert f'ALTER ROLE "{case.t}_app" PASSWORD' in log
    assert "canary" not in log


def test_a_password_of_a_role_that_expired_is_told_and_not_set(case, run_module):
    with case.source_server.as_superuser() as conn:
        conn.execute(f"""ALTER ROLE "{case.t}_app" VALID UNTIL '2001-01-01 00:00+00'""")
    result = run_module(pg_roles, **case.params)
    assert named(result, "password") == []
    assert "password_unused" in {f["code"] for f in result["findings"]}
    assert run_module(pg_roles, **case.params)["changed"] is False


def test_a_run_whose_session_is_killed_leaves_nothing_and_is_finished_by_the_next(
    case, run_module, kill_sessions
):
    due = run_module(pg_roles, check_mode=True, **case.params)
    with (  # noqa: PT012
        pytest.raises(PostgresError) as failed,
        connect("target", case.params["target"]) as conn,
        conn.transaction(),
    ):
        conn.execute(role_apply.LOCK)
        conn.execute(f'CREATE ROLE "{case.t}_app"')
        kill_sessions(case.params["target"])
        role_apply.read_target(conn)
    assert failed.value.retryable
    assert case.seen(SEEN, case.target_server) == []
    assert run_module(pg_roles, **case.params)["changes"] == due["changes"]


def test_a_role_that_is_there_already_and_not_ours_to_alter_is_told(case, run_module):
    with case.target_server.as_superuser() as conn:
        conn.execute(f'CREATE ROLE "{case.t} Owner" LOGIN')
    result = run_module(pg_roles, **case.params)
    told = {(f["code"], f["severity"]) for f in result["findings"]}
    assert ("role_not_administered", "warning") in told
    assert ("role_not_grantable", "blocker") in told
    assert run_module(pg_roles, **case.params)["changed"] is False


def test_runs_at_the_same_time_take_turns(case):
    with ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(server_roles.converge, {"role_map": {}, **case.params}, check_mode=False)
            for _ in range(4)
        ]
    made = [[c for c in run.result().changes if c["what"] != "password"] for run in runs]
    assert sorted(bool(changes) for changes in made) == [False, False, False, True]


def test_a_password_for_nobody_is_told_and_one_for_another_databases_role_is_not(case, run_module):
    case.params["passwords"] |= {f"{case.t}_ap": "x", f"{case.t}_elsewhere": "x"}
    findings = run_module(pg_roles, **case.params)["findings"]
    told = [f["object"] for f in findings if f["code"] == "password_unused"]
    assert told == [f"role {case.t}_ap"]


def test_a_database_that_the_source_lacks_is_named(case, run_module):
    failure = run_module(pg_roles, **case.params | {"databases": ["shopp"]})
    assert failure["msg"] == "source: there is no database shopp"


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_failure_names_the_side_and_hides_the_secrets(case, run_module, side):
    case.params[side] = case.params[side] | {"password": "canary/s3cret", "port": 1}
    failure = run_module(pg_roles, **case.params)
    assert failure["msg"].startswith(f"{side}: ")
    assert "canary" not in str(failure)


def test_no_secret_is_in_a_result(case, run_module):
    assert "canary" not in str(run_module(pg_roles, diff=True, **case.params))
