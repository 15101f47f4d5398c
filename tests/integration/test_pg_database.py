"""pg_database against real servers; what it made is looked at as the superuser."""

import secrets

import psycopg
import pytest
from psycopg import sql

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PostgresError
from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.database import database
from ansible_collections.landbridge.migration.plugins.modules import pg_database, pg_roles

pytestmark = pytest.mark.postgres

SEEN = """\
SELECT rolname, pg_encoding_to_char(encoding), datcollate, datctype, datallowconn,
       has_database_privilege('landbridge_test_nobody', datname, 'CONNECT')
  FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE datname = %s"""

EXTENSIONS = """\
SELECT extname, nspname, rolname
  FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
  JOIN pg_roles ON pg_roles.oid = extowner WHERE extname <> 'plpgsql' ORDER BY 1"""


class Case:
    def __init__(self, source, target, source_server, target_server):
        self.source_server, self.target_server = source_server, target_server
        self.name = f'Shop "{secrets.token_hex(3)}" 100%'
        self.owner = f"Owner {secrets.token_hex(3)}"
        self.source = {**source, "dbname": self.name}
        self.params = {
            "server": {**target, "dbname": "postgres"},
            "source": self.source,
            "name": self.name,
        }

    def make_source(self, words="ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'"):
        with self.source_server.as_superuser() as conn:
            owner, name = sql.Identifier(self.owner), sql.Identifier(self.name)
            conn.execute(sql.SQL("CREATE ROLE {}").format(owner))
            conn.execute(sql.SQL("GRANT {} TO landbridge_admin").format(owner))
            create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 " + words)
            conn.execute(create.format(name, owner))
            conn.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(name))

    def on_source(self, text):
        with psycopg.connect(**{**self.source_server.superuser, "dbname": self.name}) as conn:
            conn.execute(text)

    def make_roles(self, run_module):
        with self.target_server.as_superuser() as conn:
            conn.execute("CREATE ROLE landbridge_test_nobody LOGIN")
        params = {"source": self.source, "target": self.params["server"], "databases": [self.name]}
        assert run_module(pg_roles, **params)["changed"]

    def seen(self):
        with self.target_server.as_superuser() as conn:
            return conn.execute(SEEN, [self.name]).fetchone()

    def extensions(self):
        with psycopg.connect(**{**self.target_server.superuser, "dbname": self.name}) as conn:
            return conn.execute(EXTENSIONS).fetchall()


@pytest.fixture
def case(source, target, source_server, target_server, run_module):
    made = Case(source, target, source_server, target_server)
    made.make_source()
    made.make_roles(run_module)
    return made


@pytest.mark.parametrize(
    "",
    [
        pytest.param(marks=pytest.mark.source_major(15), id="15-to-17"),
        pytest.param(id="17-to-17"),
    ],
)
def test_the_database_is_like_the_sources_and_closed_and_a_second_run_changes_nothing(
    case, run_module
):
    first = run_module(pg_database, **case.params)
    assert first["changed"]
    assert case.seen() == (case.owner, "UTF8", "C", "C.UTF-8", True, False)
    second = run_module(pg_database, **case.params)
    assert (second["changed"], second["changes"]) == (False, [])
    assert second["evidence"] == first["evidence"]


def test_an_encoding_other_than_the_servers_is_kept(
    source, target, source_server, target_server, run_module
):
    case = Case(source, target, source_server, target_server)
    case.make_source("ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    case.make_roles(run_module)
    run_module(pg_database, **case.params)
    assert case.seen()[1:4] == ("SQL_ASCII", "C", "C")


def test_the_builtin_provider_and_its_locale_are_kept(
    source, target, source_server, target_server, run_module
):
    case = Case(source, target, source_server, target_server)
    case.make_source("LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'")
    case.make_roles(run_module)
    made = run_module(pg_database, **case.params)["database"]
    assert (made["locale_provider"], made["locale"]) == ("builtin", "C.UTF-8")
    with connect("test", {**case.params["server"], "dbname": case.name}) as conn:
        found = database.read(conn, case.name)
    assert (found.locale_provider, found.locale) == ("builtin", "C.UTF-8")
    assert run_module(pg_database, **case.params)["changed"] is False


def test_check_mode_tells_the_same_changes_and_makes_none(case, run_module):
    case.on_source("CREATE EXTENSION pg_trgm")
    due = run_module(pg_database, check_mode=True, **case.params)
    assert case.seen() is None
    made = run_module(pg_database, **case.params)
    assert made["changes"] == due["changes"]
    assert [change["name"] for change in made["changes"]] == [
        "database", "CONNECT of PUBLIC", "extension pg_trgm",
    ]  # fmt: skip


def test_a_run_killed_before_the_database_was_open_is_finished_by_the_next(
    case, run_module, kill_sessions
):
    with (  # noqa: PT012
        pytest.raises(PostgresError) as failed,
        connect("target", case.params["server"]) as conn,
    ):
        wanted = database.Database(case.name, case.owner, "UTF8", "C", "C.UTF-8")
        changes = database.plan(wanted, None)
        database.apply(conn, changes[:1])
        kill_sessions(case.params["server"])
        database.apply(conn, changes[1:])
    assert failed.value.retryable
    due = run_module(pg_database, check_mode=True, **case.params)
    result = run_module(pg_database, **case.params)
    assert result["changes"] == due["changes"]
    assert [change["name"] for change in result["changes"]] == ["CONNECT of PUBLIC"]
    assert case.seen()[4:] == (True, False)


def test_privileges_given_later_are_not_taken_back(case, run_module):
    run_module(pg_database, **case.params)
    with case.target_server.as_superuser() as conn:
        conn.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO PUBLIC").format(
            sql.Identifier(case.name)
        ))  # fmt: skip
    assert run_module(pg_database, **case.params)["changed"] is False
    assert case.seen()[5] is True


def test_the_owner_is_given_back(case, run_module):
    run_module(pg_database, **case.params)
    mine = case.params | {"owner": "landbridge_admin"}
    assert run_module(pg_database, **mine)["changes"] == [
        {"name": "owner", "before": case.owner, "after": "landbridge_admin"}
    ]
    assert case.seen()[0] == "landbridge_admin"
    assert run_module(pg_database, **case.params)["changed"] is True
    assert case.seen()[0] == case.owner


def test_the_owner_goes_by_the_role_map(case, run_module):
    result = run_module(pg_database, **case.params, role_map={case.owner: "landbridge_admin"})
    assert result["database"]["owner"] == "landbridge_admin"


def test_extensions_come_in_their_schemas_made_by_their_owners(case, run_module):
    case.on_source(f"""
        CREATE SCHEMA "Odd ""ext" AUTHORIZATION "{case.owner}";
        GRANT CREATE ON DATABASE {sql.Identifier(case.name).as_string()} TO "{case.owner}";
        SET ROLE "{case.owner}";
        CREATE EXTENSION hstore SCHEMA "Odd ""ext";
        RESET ROLE;
        CREATE EXTENSION pg_trgm SCHEMA public;
    """)
    first = run_module(pg_database, **case.params)
    assert case.extensions() == [
        ("hstore", 'Odd "ext', case.owner),
        ("pg_trgm", "public", "landbridge_admin"),
    ]
    assert [each["name"] for each in first["extensions"]] == ["hstore", "pg_trgm"]
    assert run_module(pg_database, **case.params)["changed"] is False


@pytest.mark.source_major(15)
def test_another_version_of_an_extension_is_a_finding(case, run_module):
    case.on_source("CREATE EXTENSION pg_trgm VERSION '1.4'")
    finding = run_module(pg_database, **case.params)["findings"][0]
    assert (finding["code"], finding["severity"]) == ("extension_version", "note")
    assert "1.4 on the source" in finding["message"]


def test_an_extension_that_the_target_lacks_is_named_before_anything_is_made(case, run_module):
    case.on_source("CREATE EXTENSION pg_trgm")
    params = case.params | {"extensions": ["pg_trgm", "postgis", "timescaledb"]}
    failure = run_module(pg_database, **params)
    assert failure["msg"] == (
        f"target: extensions postgis, timescaledb of database {case.name} are not available"
    )
    assert case.seen() is None
    assert run_module(pg_database, **case.params)["changed"] is True


def test_an_extension_that_only_a_superuser_creates_is_named_before_anything_is_made(
    case, run_module
):
    case.on_source("CREATE EXTENSION pageinspect")
    failure = run_module(pg_database, **case.params)
    assert f"extension pageinspect of database {case.name} is not trusted" in failure["msg"]
    assert failure["error"]["code"] == "precondition"
    assert case.seen() is None


def test_an_extension_that_a_superuser_made_there_is_enough(case, run_module):
    run_module(pg_database, **case.params)
    case.on_source("CREATE EXTENSION pageinspect")
    with psycopg.connect(**{**case.target_server.superuser, "dbname": case.name}) as conn:
        conn.execute("CREATE EXTENSION pageinspect")
    assert run_module(pg_database, **case.params)["changed"] is False


def test_a_database_of_another_collation_is_refused(case, run_module):
    run_module(pg_database, **case.params)
    failure = run_module(pg_database, **case.params, lc_collate="C.UTF-8")
    assert "has lc_collate C, the source's has C.UTF-8" in failure["msg"]


def test_a_locale_that_the_target_does_not_know_is_told_with_the_remedy(case, run_module):
    failure = run_module(pg_database, **case.params, lc_collate="xx_YY.UTF-8")
    assert "cannot have the source's locale" in failure["msg"]
    assert "lc_collate" in failure["error"]["hint"]


def test_an_owner_that_the_target_lacks_is_named(case, run_module):
    failure = run_module(pg_database, **case.params, owner="nobody there")
    assert "there is no role nobody there" in failure["msg"]
    assert case.seen() is None


def test_a_database_that_someone_closed_is_refused(case, run_module):
    run_module(pg_database, **case.params)
    with case.target_server.as_superuser() as conn:
        conn.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(
            sql.Identifier(case.name)
        ))  # fmt: skip
    assert "allows no connections" in run_module(pg_database, **case.params)["msg"]


@pytest.mark.parametrize("side, option", [("source", "source"), ("target", "server")])
def test_a_failure_names_the_side_and_hides_the_secret(case, run_module, side, option):
    case.params[option] = case.params[option] | {"password": "canary/s3cret", "port": 1}
    failure = run_module(pg_database, **case.params)
    assert failure["msg"].startswith(f"{side}: ")
    assert "canary" not in str(failure)
