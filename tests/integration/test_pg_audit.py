"""pg_audit against real servers: what stands in the way is found and has a remedy."""

import os

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.modules import pg_audit

pytestmark = pytest.mark.postgres


@pytest.fixture
def audit(source, target, run_module):
    """Return a function that runs SQL on the source and returns the findings by code."""

    def run(*statements, on_target=(), **params):
        for server, texts in ((source, statements), (target, on_target)):
            with connect("test", server) as conn:
                conn.execute("SET search_path = public")
                for text in texts:
                    conn.execute(text)
        params = {"source": source, "target": target, **params}
        return run_module(
            pg_audit, **{key: value for key, value in params.items() if value is not None}
        )

    return run


def by_code(result):
    return {each["code"]: each for each in result["findings"]}


def test_a_plain_database_has_no_findings_and_a_plan(audit):
    result = audit(
        "CREATE TABLE plain (id int PRIMARY KEY, t text)",
        "INSERT INTO plain SELECT g, repeat('x', 200) FROM generate_series(1, 1000) g",
        "SELECT lo_create(0)",
    )
    assert result["findings"] == []
    assert result["sizes"]["tables"] == 1
    assert result["sizes"]["large_objects"] == 1
    assert result["sizes"]["bytes"] > 1_000_000
    assert result["plan"]["longest"] == "public.plain"
    assert result["plan"]["predicted_s"] >= 2
    assert result["identity"]["system_identifier"].isdigit()
    assert result["evidence"]["objects"]["table"] == 1


def test_aggregates_and_range_types_are_anyones_to_make(audit):
    found = audit(
        "CREATE AGGREGATE total (numeric) (SFUNC = numeric_add, STYPE = numeric)",
        "CREATE TYPE price_range AS RANGE (SUBTYPE = numeric)",
    )
    assert found["findings"] == []


def test_a_source_that_is_the_target_is_refused(audit, source):
    [finding] = audit(target=source)["findings"]
    assert (finding["code"], finding["severity"]) == ("same_database", "blocker")


def test_another_database_of_the_same_server_is_no_blocker(audit, source, source_server):
    other = {**source, "dbname": "postgres"}
    assert "same_database" not in by_code(audit(target=other))


@pytest.mark.source_major(17)
@pytest.mark.target_major(15)
def test_an_older_target_is_refused(audit):
    finding = by_code(audit())["older_major"]
    assert finding["severity"] == "blocker"
    assert finding["message"] == "target: Postgres 15 is older than the source's 17"


def test_a_target_that_holds_other_tables_is_refused(audit):
    finding = by_code(audit(on_target=["CREATE TABLE theirs ()"]))["target_not_empty"]
    assert finding["severity"] == "blocker"
    assert "public.theirs" in finding["message"]


def test_a_target_where_a_copy_has_begun_is_not_refused(audit):
    begun = ["CREATE SCHEMA landbridge", "CREATE TABLE theirs ()"]
    found = by_code(audit(on_target=begun))
    assert "target_not_empty" not in found
    assert found["copy_begun"]["severity"] == "note"


def test_a_target_database_that_does_not_exist_yet_is_a_note(audit, target):
    result = audit(target={**target, "dbname": "not yet"})
    [finding] = result["findings"]
    assert (finding["code"], finding["object"]) == ("database_missing", "not yet")


def test_without_a_target_the_source_alone_is_looked_at(audit):
    result = audit(target=None)
    assert result["findings"] == []
    assert result["evidence"]["target_version"] is None


@pytest.mark.source_major(15)
def test_an_extension_that_the_target_lacks_is_refused(audit, source, source_server):
    with source_server.as_superuser(source["dbname"]) as conn:
        conn.execute("CREATE EXTENSION adminpack")  # Postgres 17 has none
    finding = by_code(audit())["extension_missing"]
    assert finding["severity"] == "blocker"
    assert "adminpack" in finding["message"]


def test_missing_rights_are_named_with_the_grant_that_gives_them(
    audit, source, target, source_server, target_server
):
    roles = "CREATE ROLE guest LOGIN PASSWORD 'canary'"
    for server in (source_server, target_server):
        with server.as_superuser() as conn:
            conn.execute(roles)
    found = by_code(
        audit(
            "CREATE TABLE closed (id int)",
            "GRANT CONNECT ON DATABASE " + source["dbname"] + " TO guest",
            "SELECT lo_create(0)",
            on_target=["GRANT CONNECT ON DATABASE " + target["dbname"] + " TO guest"],
            source={**source, "user": "guest", "password": "canary"},
            target={**target, "user": "guest", "password": "canary"},
        )
    )
    blockers = {code for code, each in found.items() if each["severity"] == "blocker"}
    assert blockers == {
        "unreadable",
        "unreadable_large_objects",
        "may_not_fence",
        "may_not_signal",
        "may_not_create",
        "role_not_grantable",
    }
    assert found["may_not_fence"]["remedy"] == 'Run GRANT "landbridge_admin" TO "guest".'
    assert "public.closed" in found["unreadable"]["message"]
    assert "canary" not in str(found)


def test_what_the_application_shares_with_landbridge_cannot_be_fenced(audit, source):
    keywords = {**source, "application_name": "shop"}
    with psycopg.connect(**keywords):
        found = by_code(audit())["unfenceable_role"]
    assert found["severity"] == "blocker"
    assert "1 sessions of others" in found["message"]
    assert "unfenceable_role" not in by_code(audit())


def test_a_superusers_session_is_a_warning(audit, source, source_server):
    with source_server.as_superuser(source["dbname"]):
        assert by_code(audit())["unfenceable_role"]["severity"] == "warning"
        assert "unfenceable_role" not in by_code(audit(fence=False, target=None, mode="window"))


def test_a_superusers_tables_must_be_mapped(audit, source, source_server):
    with source_server.as_superuser(source["dbname"]) as conn:
        name = conn.execute("SELECT current_user").fetchone()[0]
        conn.execute("CREATE TABLE public.theirs ()")
        conn.execute("GRANT SELECT ON public.theirs TO PUBLIC")
    found = by_code(audit(target=None))["role_unmapped"]
    assert (found["object"], found["severity"]) == (f"role {name}", "blocker")
    assert "role_unmapped" not in by_code(audit(target=None, role_map={name: "landbridge_admin"}))


def test_roles_the_target_lacks_are_told(audit, source_server):
    with source_server.as_superuser() as conn:
        conn.execute("CREATE ROLE clerk")
    finding = by_code(audit("CREATE TABLE t ()", "GRANT SELECT ON t TO clerk"))["role_missing"]
    assert (finding["object"], finding["severity"]) == ("role clerk", "warning")


def test_odd_objects_are_named(audit, source, source_server):
    statements = [
        "CREATE TABLE t (id int, j json)",
        "INSERT INTO t VALUES (1), (1)",
        "CREATE UNLOGGED TABLE fast (id int PRIMARY KEY)",
        "ALTER TABLE t ADD CONSTRAINT positive CHECK (id > 0) NOT VALID",
        "CREATE PUBLICATION changes FOR TABLE fast2",
    ]
    with source_server.as_superuser(source["dbname"]) as conn:
        conn.execute("CREATE FUNCTION public.c(int) RETURNS int LANGUAGE internal AS 'int4abs'")
        conn.execute(
            "CREATE FUNCTION public.e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'"
        )
        conn.execute("CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.e()")
    found = by_code(
        audit("CREATE TABLE fast2 (id int PRIMARY KEY)", *statements, mode="live", fence=True)
    )
    assert found["needs_superuser"]["object"] == "function public.c"
    assert found["event_trigger"]["object"] == "watch"
    assert found["unlogged_not_followed"]["object"] == "public.fast"
    assert found["not_validated"]["object"] == "positive on public.t"
    assert found["publication"]["object"] == "changes"
    assert found["no_identity_type"]["severity"] == "blocker"


def test_row_security_that_would_hide_rows_is_refused(audit):
    statements = [
        "CREATE TABLE t (id int)",
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
    ]
    assert by_code(audit(*statements))["row_security"]["severity"] == "blocker"


def test_a_prepared_transaction_is_refused(audit, source, source_server):
    with source_server.as_superuser() as conn:
        if conn.execute("SHOW max_prepared_transactions").fetchone()[0] == "0":
            conn.execute("ALTER SYSTEM SET max_prepared_transactions = 2")
            source_server.restart()
    with connect("test", source) as conn:
        conn.execute("BEGIN; CREATE TABLE public.t (); PREPARE TRANSACTION 'in limbo'")
    try:
        finding = by_code(audit(target=None))["prepared_transaction"]
        assert (finding["object"], finding["severity"]) == ("in limbo", "blocker")
    finally:
        with connect("test", source) as conn:
            conn.execute("ROLLBACK PREPARED 'in limbo'")


@pytest.mark.source_major(14)
def test_a_schema_public_that_will_be_closed_is_a_warning(audit):
    assert by_code(audit())["public_schema"]["severity"] == "warning"


@pytest.mark.source_major(15)
def test_an_older_source_is_audited_as_well(audit):
    result = audit("CREATE TABLE t (id int PRIMARY KEY)")
    assert [each["code"] for each in result["findings"]] == []


def test_missing_programs_are_named(audit, tmp_path):
    result = audit(bin_dir=str(tmp_path))
    assert result["failed"]
    assert "was found in" in result["msg"]
    assert os.fspath(tmp_path) in result["msg"]
