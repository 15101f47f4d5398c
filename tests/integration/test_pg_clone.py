"""pg_clone against real servers; `source` and `target` are fresh databases (fix_postgres.py)."""

import json
import stat

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone import plan
from ansible_collections.landbridge.migration.plugins.modules import pg_clone

pytestmark = pytest.mark.postgres

OLD = """
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('a', 'b');
CREATE TABLE shop.a (id serial PRIMARY KEY, m shop.mood, j jsonb, at timestamptz DEFAULT now());
INSERT INTO shop.a (m, j) SELECT 'b', to_jsonb(n) FROM generate_series(1, 40000) n;
CREATE INDEX ON shop.a USING gin (j);
CREATE TABLE shop.b (id int GENERATED ALWAYS AS IDENTITY, a int REFERENCES shop.a, user_ name);
INSERT INTO shop.b (a) SELECT n FROM generate_series(1, 100) n;
CREATE TABLE shop.p (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE shop.p1 PARTITION OF shop.p FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
INSERT INTO shop.p VALUES (1, '2024-01-01');
CREATE VIEW shop.v AS SELECT a.id, count(*) FROM shop.a GROUP BY a.id;
CREATE MATERIALIZED VIEW shop.m AS SELECT * FROM shop.v WHERE id < 10;
SELECT lo_from_bytea(70001, 'old');
"""


def execute(server, statement):
    with psycopg.connect(**server, autocommit=True) as conn:
        return conn.execute(statement)


def test_a_mixed_database_arrives_equal_and_a_second_run_changes_nothing(
    mixed, run_module, schema_of, contents_of
):
    first = run_module(pg_clone, **mixed)
    assert (first["changed"], first["findings"]) == (True, [])
    assert schema_of(mixed["target"]) == schema_of(mixed["source"])
    assert contents_of(mixed["target"]) == contents_of(mixed["source"])
    second = run_module(pg_clone, **mixed)
    assert second["changed"] is False
    assert second["rows"] == first["rows"] == first["evidence"]["rows"] > 90_000
    assert second["parts_resumed"] == second["parts_count"]


def test_large_tables_arrive_equal_in_ranges_too(mixed, run_module, contents_of, monkeypatch):
    monkeypatch.setattr(plan, "SPLIT_FROM_S", 0.01)
    run_module(pg_clone, **mixed, jobs=4)
    assert contents_of(mixed["target"]) == contents_of(mixed["source"])
    with psycopg.connect(**mixed["target"]) as conn:
        ranges = conn.execute("SELECT count(*) FROM landbridge.part WHERE label ~ 'from page'")
        assert ranges.fetchone()[0] > 2


def test_a_renamed_role_owns_and_may_what_the_old_one_did(mixed, run_module, schema_of):
    copied = run_module(pg_clone, **mixed, role_map={"clone_old": "clone_new"})
    assert copied["findings"] == []
    wanted = schema_of(mixed["source"]).replace("clone_old", "clone_new")
    assert schema_of(mixed["target"]) == wanted


def test_a_role_mapped_to_null_leaves_its_things_to_who_copies(mixed, run_module, as_superuser):
    copied = run_module(pg_clone, **mixed, role_map={"clone_old": None})
    assert copied["findings"] == []
    with as_superuser(mixed["target"]) as conn:
        owner = conn.execute(
            "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'dropped'"
        ).fetchone()
        roles = conn.execute("SELECT polroles::regrole[]::text FROM pg_policy").fetchone()
    assert owner == (mixed["target"]["user"],)
    assert roles == ("{clone_app}",)


def test_a_role_that_is_not_there_is_a_finding(source, target, run_module):
    execute(source, "CREATE ROLE clone_gone")
    execute(source, "CREATE TABLE public.t (); GRANT SELECT ON public.t TO clone_gone")
    (finding,) = run_module(pg_clone, source=source, target=target)["findings"]
    assert (finding["code"], finding["object"]) == ("role_missing", "clone_gone")


def test_a_role_made_later_is_given_its_grants_by_the_next_run(source, target, run_module):
    execute(source, "CREATE ROLE clone_late")
    execute(source, "CREATE TABLE public.t (); GRANT SELECT ON public.t TO clone_late")
    assert run_module(pg_clone, source=source, target=target)["findings_count"] == 1
    assert run_module(pg_clone, source=source, target=target)["changed"] is False
    execute(target, "CREATE ROLE clone_late")
    again = run_module(pg_clone, source=source, target=target)
    assert (again["changed"], again["findings"]) == (True, [])
    with psycopg.connect(**target) as conn:
        asked = "SELECT has_table_privilege('clone_late', 'public.t', 'SELECT')"
        assert conn.execute(asked).fetchone() == (True,)


def test_what_only_holds_generated_values_arrives(source, target, run_module, contents_of):
    execute(
        source,
        "CREATE TABLE public.only (g int GENERATED ALWAYS AS (1 + 1) STORED);"
        "INSERT INTO public.only SELECT FROM generate_series(1, 5)",
    )
    assert run_module(pg_clone, source=source, target=target)["rows"] == 5
    assert contents_of(target) == contents_of(source)


def test_what_replicates_is_left_out_and_told(source, target, run_module, as_superuser):
    execute(source, "CREATE TABLE public.t (); CREATE PUBLICATION all_of_it FOR TABLE public.t")
    (finding,) = run_module(pg_clone, source=source, target=target)["findings"]
    assert (finding["code"], finding["object"]) == ("replication_left_out", "publication all_of_it")
    with as_superuser(target) as conn:
        assert conn.execute("SELECT count(*) FROM pg_publication").fetchone() == (0,)


UNQUALIFIED = """
CREATE SCHEMA shop;
CREATE FUNCTION shop.helper(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
  AS 'BEGIN RETURN lower($1); END';
CREATE FUNCTION shop.wrapper(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
  AS 'BEGIN RETURN helper($1); END';
CREATE TABLE shop.big (n text CHECK (shop.wrapper(n) <> ''), filler text);
CREATE TABLE shop.small (n text CHECK (shop.wrapper(n) <> ''));
CREATE TABLE shop.indexed (n text, filler text);
INSERT INTO shop.small VALUES ('a');
INSERT INTO shop.big SELECT n::text, repeat('x', 100) FROM generate_series(1, 20000) n;
INSERT INTO shop.indexed SELECT * FROM shop.big;
CREATE INDEX of_small ON shop.small (shop.wrapper(n));
CREATE INDEX of_indexed ON shop.indexed (shop.wrapper(n));
CREATE MATERIALIZED VIEW shop.filled AS SELECT shop.wrapper(n) AS n FROM shop.small;
"""


@pytest.fixture
def unqualified(source, target):
    """A database whose functions rely on its own search_path."""
    execute(source, f"ALTER DATABASE {source['dbname']} SET search_path = shop, public")
    for statement in UNQUALIFIED.split(";\n"):
        execute(source, statement)
    return {"source": source, "target": target}


@pytest.mark.source_major(15)
@pytest.mark.target_major(16)
def test_functions_that_rely_on_the_databases_search_path_find_it(
    unqualified, run_module, contents_of
):
    assert run_module(pg_clone, **unqualified)["findings"] == []
    assert contents_of(unqualified["target"]) == contents_of(unqualified["source"])


@pytest.mark.source_major(15)
def test_indexes_that_a_newer_server_refuses_are_findings_and_all_rows_arrive(
    unqualified, run_module, contents_of
):
    findings = run_module(pg_clone, **unqualified)["findings"]
    assert {(each["code"], each["object"].split(" ON ")[0]) for each in findings} == {
        ("not_created", 'CREATE INDEX "of_small"'),
        ("not_created", 'CREATE INDEX "of_indexed"'),
        ("matview_not_filled", 'REFRESH MATERIALIZED VIEW "shop"."filled"'),
    }
    there, here = (contents_of(unqualified[side])[0] for side in ("target", "source"))
    assert there == {name: sums for name, sums in here.items() if name != "shop.filled"}


def test_the_users_rows_in_an_extensions_table_arrive(source, target, run_module, as_superuser):
    for server, rows in ((source, "(1, 'system'), (2, 'mine')"), (target, "(1, 'system')")):
        execute(server, "CREATE EXTENSION pg_trgm; CREATE TABLE public.config (n int, kind text)")
        execute(server, f"INSERT INTO public.config VALUES {rows}")
        with as_superuser(server) as conn:
            conn.execute(
                "ALTER EXTENSION pg_trgm ADD TABLE public.config;"
                " UPDATE pg_extension SET extconfig = ARRAY['public.config'::regclass],"
                " extcondition = ARRAY[$$WHERE kind <> 'system'$$]"
                " WHERE extname = 'pg_trgm'"
            )
    assert run_module(pg_clone, source=source, target=target)["rows"] == 1
    with as_superuser(target) as conn:
        found = conn.execute("SELECT n, kind FROM public.config ORDER BY n").fetchall()
    assert found == [(1, "system"), (2, "mine")]


@pytest.mark.source_major(10)
def test_version_10_arrives_on_17(source, target, run_module, contents_of):
    execute(source, OLD)
    assert run_module(pg_clone, source=source, target=target)["findings"] == []
    assert contents_of(target) == contents_of(source)


@pytest.mark.source_major(15)
def test_version_15_arrives_on_17(mixed, run_module, contents_of):
    assert run_module(pg_clone, **mixed)["findings"] == []
    assert contents_of(mixed["target"]) == contents_of(mixed["source"])


@pytest.mark.target_major(18)
def test_version_17_arrives_on_18(mixed, run_module, contents_of):
    findings = run_module(pg_clone, **mixed)["findings"]
    assert {each["code"] for each in findings} == {"extension_version"}  # 18 brings newer ones
    assert contents_of(mixed["target"]) == contents_of(mixed["source"])


def test_check_mode_tells_what_would_come_and_writes_nothing(mixed, run_module, as_superuser):
    mixed["small_sessions"] = 2  # what the round trip is must not matter here
    due = run_module(pg_clone, check_mode=True, **mixed)
    with as_superuser(mixed["target"]) as conn:
        found = conn.execute("SELECT count(*) FROM pg_namespace WHERE nspname ~ 'shop|landbridge'")
        assert found.fetchone() == (0,)
    copied = run_module(pg_clone, **mixed)
    assert (due["changed"], due["parts_count"]) == (True, copied["parts_count"])
    assert {t["name"] for t in due["tables"]} == {t["name"] for t in copied["tables"]}


def test_a_foreign_key_that_is_dirty_on_the_source_is_kept_and_told(
    source, target, run_module, as_superuser
):
    execute(
        source,
        "CREATE TABLE public.a (id int PRIMARY KEY);"
        "CREATE TABLE public.b (a int CONSTRAINT points REFERENCES public.a)",
    )
    with as_superuser(source) as conn:
        conn.execute("SET session_replication_role = replica; INSERT INTO public.b VALUES (1)")
    (finding,) = run_module(pg_clone, source=source, target=target)["findings"]
    assert (finding["code"], "points" in finding["object"]) == ("foreign_key_dirty", True)
    with as_superuser(target) as conn:
        found = conn.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'points'")
        assert found.fetchone() == (False,)


def test_a_foreign_key_to_a_larger_table_is_checked_by_a_merge(
    source, target, run_module, as_superuser
):
    execute(
        source,
        "CREATE TABLE public.a AS"
        " SELECT n AS id, repeat('x', 300) AS filler FROM generate_series(1, 9000) AS n;"
        "ALTER TABLE public.a ADD PRIMARY KEY (id);"
        "CREATE TABLE public.b AS SELECT id AS a FROM public.a WHERE id % 9 = 0;"
        "ALTER TABLE public.b ADD CONSTRAINT points FOREIGN KEY (a) REFERENCES public.a;"
        "ANALYZE",
    )
    assert run_module(pg_clone, source=source, target=target)["findings"] == []
    with as_superuser(target) as conn:
        found = conn.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'points'")
        assert found.fetchone() == (True,)
        checked = conn.execute(
            "SELECT payload->'statements'->>0 FROM landbridge.part WHERE id = 'validate:rest:0'"
        )
        assert checked.fetchone() == ("SET LOCAL enable_hashjoin = off",)


@pytest.mark.source_major(15)
def test_an_extension_that_the_target_lacks_is_refused(source, target, run_module, as_superuser):
    with as_superuser(source) as conn:
        conn.execute("CREATE EXTENSION adminpack")  # Postgres 17 has none
    failure = run_module(pg_clone, source=source, target=target)
    assert failure["msg"] == "target: the server lacks the extension adminpack"
    assert failure["error"]["code"] == "precondition"
    with as_superuser(target) as conn:
        assert conn.execute("SELECT to_regnamespace('landbridge')").fetchone() == (None,)


def test_settings_of_the_database_come_along_but_not_that_it_was_closed(
    source, target, run_module, as_superuser
):
    for text in (
        "SET search_path = public, pg_catalog",
        "SET work_mem = '7MB'",
        "SET array_nulls = off",
        "SET default_transaction_read_only = on",
        "SET statement_timeout = '30s'",
    ):
        execute({**source, "options": "-c default_transaction_read_only=off"},
                f"ALTER DATABASE {source['dbname']} {text}")  # fmt: skip
    copied = run_module(pg_clone, source=source, target=target)
    assert [each["code"] for each in copied["findings"]] == ["setting_left_out"]
    with as_superuser(target) as conn:
        (found,) = conn.execute(
            "SELECT setconfig FROM pg_db_role_setting WHERE setdatabase ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchone()
    assert sorted(found) == [
        "array_nulls=off", "search_path=public, pg_catalog", "statement_timeout=30s",
        "work_mem=7MB",
    ]  # fmt: skip


def test_a_database_whose_name_needs_quoting_arrives(source_server, target_server, run_module):
    name = "Legacy \"Billing\" %s 'x' \\ "
    sides = {}
    for side, server in (("source", source_server), ("target", target_server)):
        with server.as_superuser() as conn:
            conn.execute(psycopg.sql.SQL("CREATE DATABASE {} OWNER {}").format(
                psycopg.sql.Identifier(name), psycopg.sql.Identifier(server.admin["user"])
            ))  # fmt: skip
        sides[side] = {**server.admin, "dbname": name}
    try:
        execute(sides["source"], "CREATE TABLE public.t AS SELECT generate_series(1, 50000) n")
        assert run_module(pg_clone, **sides)["rows"] == 50000
    finally:
        for server in (source_server, target_server):
            with server.as_superuser() as conn:
                statement = psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)")
                conn.execute(statement.format(psycopg.sql.Identifier(name)))


def test_progress_is_written_for_nobody_else_to_read(mixed, run_module, tmp_path):
    path = tmp_path / "progress.jsonl"
    run_module(pg_clone, **mixed, progress_path=str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert events[-1]["event"] == "done"
    last = next(each for each in reversed(events) if each["event"] == "progress")
    assert last["bytes"] == last["bytes_total"] > 0
    assert last["parts_done"] == last["parts_total"]
    assert last["rows"] > 90_000


def test_rows_written_after_the_end_are_not_taken_for_copied(source, target, run_module):
    execute(source, "CREATE TABLE public.t AS SELECT 1 AS n")
    run_module(pg_clone, source=source, target=target)
    execute(source, "INSERT INTO public.t VALUES (2)")
    failure = run_module(pg_clone, source=source, target=target)
    assert failure["error"]["code"] == "precondition"
    assert "written" in failure["msg"]


class TestRefusals:
    """Each is one sentence, before anything was changed."""

    @pytest.fixture
    def refused(self, source, target, run_module):
        def run(**params):
            failure = run_module(pg_clone, **{"source": source, "target": target, **params})
            assert failure["error"]["code"] == "precondition"
            assert "\n" not in failure["msg"]
            return failure["msg"]

        return run

    def test_the_same_database(self, source, refused):
        assert "same database" in refused(target=source)

    @pytest.mark.target_major(15)
    def test_an_older_target(self, refused):
        assert "15 is older than the source's 17" in refused()

    def test_a_target_that_holds_other_tables(self, target, refused):
        execute(target, "CREATE TABLE public.theirs ()")
        assert "first public.theirs" in refused()

    def test_a_table_of_the_same_name_even_if_adopted(self, source, target, refused):
        for server in (source, target):
            execute(server, "CREATE TABLE public.theirs ()")
        assert "public.theirs is there already" in refused(adopt=True)

    def test_another_encoding(self, target_server, source, target, refused):
        with target_server.as_superuser() as conn:
            conn.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        try:
            assert "LATIN1" in refused(target={**target, "dbname": "latin"})
        finally:
            with target_server.as_superuser() as conn:
                conn.execute("DROP DATABASE latin WITH (FORCE)")

    def test_a_target_where_we_may_not_create(self, target_server, target, refused):
        with target_server.as_superuser() as conn:
            conn.execute(f"ALTER DATABASE {target['dbname']} OWNER TO CURRENT_USER")
        assert "may not create schemas" in refused()

    def test_a_table_that_we_may_not_read(self, source, refused, as_superuser):
        with as_superuser(source) as conn:
            conn.execute("CREATE TABLE public.theirs ()")
        assert "may not read 1 tables or sequences, first public.theirs" in refused()

    def test_rows_that_row_security_hides_from_us(self, source, refused):
        execute(
            source,
            "CREATE TABLE public.guarded (); ALTER TABLE public.guarded ENABLE ROW LEVEL SECURITY;"
            "ALTER TABLE public.guarded FORCE ROW LEVEL SECURITY",
        )
        assert "would hide rows of 1 tables" in refused()

    def test_programs_that_are_not_there(self, tmp_path, refused):
        assert str(tmp_path) in refused(bin_dir=str(tmp_path))

    def test_no_jobs(self, refused):
        assert "jobs is 0" in refused(jobs=0)


def test_other_tables_of_the_target_are_left_alone_if_adopted(
    source, target, run_module, as_superuser
):
    execute(source, "CREATE TABLE public.ours AS SELECT 1 AS n")
    execute(target, "CREATE TABLE public.theirs AS SELECT 2 AS n")
    run_module(pg_clone, source=source, target=target, adopt=["public.theirs"])
    with as_superuser(target) as conn:
        found = conn.execute("SELECT n FROM public.ours UNION ALL SELECT n FROM public.theirs")
        assert found.fetchall() == [(1,), (2,)]


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_failure_names_the_side_and_hides_the_password(source, target, run_module, side):
    sides = {"source": source, "target": target}
    sides[side] = {**sides[side], "password": "canary/s3cret"}
    failure = run_module(pg_clone, **sides)
    assert failure["msg"].startswith(f"{side}: ")
    assert "canary" not in str(failure)
