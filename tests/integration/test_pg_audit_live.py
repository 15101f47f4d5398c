"""pg_audit in live mode, on real servers: what keeps a database from being followed is named."""

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.audit import live_sql
from ansible_collections.landbridge.migration.plugins.module_utils.pg.audit.audit_sql import (
    hazards_query,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import link
from ansible_collections.landbridge.migration.plugins.modules import pg_audit

pytestmark = pytest.mark.postgres

CANARY = "cAnary-7391"


@pytest.fixture
def live(source, target, run_module):
    """Return a function that runs SQL on the source and returns live mode's findings by code."""

    def run(*statements, **params):
        with connect("test", source) as conn:
            conn.execute("SET search_path = public")
            for text in statements:
                conn.execute(text)
        asked = {"source": source, "target": target, "mode": "live", **params}
        result = run_module(pg_audit, **asked)
        assert "findings" in result, result
        return {each["code"]: each for each in result["findings"]}

    return run


TABLES = [
    "CREATE TABLE keyed (id int PRIMARY KEY, j json)",
    "CREATE TABLE indexed (id int NOT NULL UNIQUE, j json)",
    "CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE, j json)",
    "CREATE TABLE nullable (id int UNIQUE, t text)",
    "CREATE TABLE silent (id int PRIMARY KEY)",
    "ALTER TABLE silent REPLICA IDENTITY NOTHING",
    "CREATE TABLE whole (id int PRIMARY KEY, p point)",
    "ALTER TABLE whole REPLICA IDENTITY FULL",
    "CREATE TABLE plain (t text, v varchar(3), b jsonb, a int[], c cidr)",
    "CREATE DOMAIN place AS point",
    "CREATE TYPE spot AS (name text, at place)",
    "CREATE TABLE spots (s spot[])",
    "CREATE TABLE documents (x xml)",
]


@pytest.mark.parametrize("sides", [13, 15, 17], indirect=True, ids=lambda major: f"from-{major}")
def test_how_rows_are_told_apart_decides_what_can_be_followed(sides, live):
    found = live(*TABLES)
    assert found["no_identity_type"]["severity"] == "blocker"
    assert found["no_identity_type"]["object"] == "public.deferred, public.documents, public.spots"
    assert found["identity_by_index"]["object"] == "public.indexed, public.silent"
    assert found["no_identity"]["object"] == "public.nullable, public.plain"
    assert set(found) - {"no_way_back", "public_schema"} == {
        "no_identity_type",
        "identity_by_index",
        "no_identity",
    }
    assert ("no_way_back" in found) == (sides < 16)


@pytest.fixture
def sides(request):
    """The source's major."""
    return request.param


@pytest.fixture
def source_major(request):
    callspec = getattr(request.node, "callspec", None)
    if callspec and "sides" in callspec.params:
        return callspec.params["sides"]
    marker = request.node.get_closest_marker("source_major")
    return marker.args[0] if marker else 17


def test_the_types_told_are_those_that_apply_stumbles_over(live, source):
    """The rule reads catalogs; the server's word is whether it finds an equality."""
    found = live("CREATE TABLE a (p point)", "CREATE TABLE b (t tsvector, r int4range, m money)")
    assert found["no_identity_type"]["object"] == "public.a"
    with connect("test", source) as conn:
        conn.execute("SELECT DISTINCT b FROM public.b")
        with pytest.raises(psycopg.errors.UndefinedFunction), conn.transaction():
            conn.execute("SELECT DISTINCT p FROM public.a")


@pytest.mark.source_major(18)
def test_from_18_on_a_whole_row_with_a_generated_column_identifies_nothing(source):
    """Read by the query alone: no client programs of 18 are at hand for a whole audit."""
    with connect("test", source) as conn:
        conn.execute("SET search_path = public")
        conn.execute("CREATE TABLE g (a int, b int GENERATED ALWAYS AS (a * 2) STORED)")
        conn.execute("CREATE TABLE k (b int GENERATED ALWAYS AS (1) STORED PRIMARY KEY)")
        found = conn.execute(hazards_query(conn.info.server_version, "live")).fetchall()
        conn.execute("ALTER TABLE g REPLICA IDENTITY FULL")
        conn.execute("CREATE PUBLICATION p FOR TABLE g")
        with pytest.raises(psycopg.Error, match="unpublished generated"):
            conn.execute("UPDATE g SET a = 1")
    assert set(found) == {
        ("unsent_identity", "public.g"),
        ("generated_identity", "public.k"),
    }


def test_what_is_not_followed_is_named(live):
    found = live(
        "CREATE UNLOGGED TABLE fast (id int PRIMARY KEY)",
        "CREATE TABLE t (id smallint PRIMARY KEY)",
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS n",
        "SELECT lo_create(0)",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER usual BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE TRIGGER odd BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "ALTER TABLE t ENABLE ALWAYS TRIGGER odd",
        "CREATE SEQUENCE s AS smallint",
        "SELECT setval('s', 32000)",
        "CREATE SEQUENCE down AS smallint INCREMENT -1",
        "SELECT setval('down', -5)",
    )
    named = {code: each["object"] for code, each in found.items()}
    assert named == {
        "unlogged_not_followed": "public.fast",
        "large_objects_not_followed": "1",
        "matview_not_followed": "public.m",
        "trigger_fires": "odd on public.t",
        "sequence_near_end": "public.s",
    }


def test_tables_of_an_owner_that_is_not_ours_cannot_be_published(live, source, source_server):
    with source_server.as_superuser(source["dbname"]) as conn:
        conn.execute("CREATE ROLE stranger")
        conn.execute("CREATE TABLE public.theirs (id int PRIMARY KEY)")
        conn.execute("ALTER TABLE public.theirs OWNER TO stranger")
        conn.execute("GRANT SELECT ON public.theirs TO PUBLIC")
    finding = live()["not_owned"]
    assert (finding["object"], finding["severity"]) == ("public.theirs", "blocker")
    assert finding["remedy"] == 'GRANT the owners to "landbridge_admin".'


def test_a_transaction_that_delays_the_slot_is_named(live, source, monkeypatch):
    """A minute is not waited for: the query's own words decide on any transaction with an id."""
    shorter = live_sql.DELAYING.replace("interval '1 minute'", "interval '0'")
    monkeypatch.setattr(
        "ansible_collections.landbridge.migration.plugins.module_utils.pg.audit.audit_sql.LIVE",
        (shorter,),
    )
    with psycopg.connect(**source) as conn:
        conn.execute("CREATE TABLE public.slow ()")
        finding = live()["long_transaction"]
        assert str(conn.info.backend_pid) in finding["object"]
    assert finding["severity"] == "warning"


@pytest.mark.parametrize("sides", [13, 17], indirect=True, ids=lambda major: f"from-{major}")
def test_a_target_that_cannot_reach_the_source_is_found_by_having_it_try(
    sides, live, source, target_server
):
    before = target_server.log.read_text(errors="replace")
    found = live(addresses={"source": {"port": 1}})
    finding = found["target_cannot_reach"]
    assert finding["severity"] == "blocker"
    assert f"{source['host']}:1" in finding["message"]
    assert "Connection refused" in finding["message"]
    logged = target_server.log.read_text(errors="replace")[len(before) :]
    assert "landbridge_probe" in logged
    assert source["password"] not in logged + str(found)


def test_trying_to_reach_leaves_nothing_on_either_side(live, source, target):
    assert live() == {}
    for server in (source, target):
        with connect("test", server) as conn:
            left = "SELECT (SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM"
            left += " pg_database WHERE datname = current_database())),"
            left += " (SELECT count(*) FROM pg_replication_slots WHERE database = %s)"
            assert conn.execute(left, [server["dbname"]]).fetchone() == (0, 0)


@pytest.mark.source_major(13)
@pytest.mark.target_major(15)
def test_a_target_before_16_is_sent_to_the_window(live):
    finding = live()["may_not_subscribe"]
    assert finding["severity"] == "blocker"
    assert finding["remedy"] == "Choose landbridge_mode: window."


def test_who_may_not_replicate_or_subscribe_is_told_what_to_grant(
    live, source, target, source_server, target_server
):
    for server, dbname in ((source_server, source["dbname"]), (target_server, target["dbname"])):
        with server.as_superuser() as conn:
            conn.execute(f"CREATE ROLE plain LOGIN PASSWORD '{CANARY}'")
            conn.execute(f'GRANT CREATE ON DATABASE "{dbname}" TO plain')
    plain = {"user": "plain", "password": CANARY}
    found = live(source={**source, **plain}, target={**target, **plain})
    assert found["may_not_replicate"]["remedy"] == 'Run ALTER ROLE "plain" REPLICATION.'
    assert 'GRANT pg_create_subscription TO "plain"' in found["may_not_subscribe"]["remedy"]
    assert CANARY not in str(found)


def test_a_server_without_logical_wal_slots_or_senders_is_told_what_to_set(
    live, source, source_server
):
    with source_server.as_superuser() as conn:
        for setting in ("wal_level = replica", "max_replication_slots = 0", "max_wal_senders = 0"):
            conn.execute(f"ALTER SYSTEM SET {setting}")
    _configured(source_server, wal_level="replica", max_replication_slots="0", max_wal_senders="0")
    try:
        found = live(target=None)
    finally:
        _configured(source_server)
    assert {"wal_level", "no_free_slot", "no_free_sender"} <= set(found)
    assert "wal_level: logical" in found["wal_level"]["remedy"]
    assert "max_wal_senders: 3" in found["no_free_sender"]["remedy"]


def _configured(server, **parameters):
    """Restart a server with these parameters beside its own."""
    with server.as_superuser() as conn:
        conn.execute("ALTER SYSTEM RESET ALL")
    server.configuration = server.configuration.with_changes(
        parameters={**_own(server), **parameters}
    )
    server.configure()
    server.restart()


def _own(server):
    extra = ("wal_level", "max_replication_slots", "max_wal_senders")
    return {k: v for k, v in server.configuration.parameters.items() if k not in extra}


def test_a_name_that_someone_else_has_taken_is_refused(
    live, source, target, source_server, target_server
):
    with connect("source", source) as one, connect("target", target) as other:
        names = link.between(link.identify(one), link.identify(other))
        one.execute("SELECT pg_create_physical_replication_slot(%s)", [names.slot])
    with target_server.as_superuser(target["dbname"]) as conn:
        conn.execute(
            f"CREATE SUBSCRIPTION {names.subscription} CONNECTION 'host=nowhere' PUBLICATION p"
            " WITH (connect = false, slot_name = NONE, enabled = false)"
        )
    try:
        result = live()
    finally:
        with connect("source", source) as conn:
            conn.execute("SELECT pg_drop_replication_slot(%s)", [names.slot])
    assert result["name_taken"]["severity"] == "blocker"
    assert f"slot {names.slot}" in str(result) or f"subscription {names.name}" in str(result)


def test_slots_that_others_hold_are_counted(live, source):
    with connect("test", source) as conn:
        most = int(conn.execute("SHOW max_replication_slots").fetchone()[0])
        make = "SELECT pg_create_physical_replication_slot('others_' || n) FROM"
        drop = "SELECT pg_drop_replication_slot('others_' || n) FROM"
        numbers = f" generate_series(1, {most}) n"
        conn.execute(make + numbers)
        try:
            finding = live(target=None)["no_free_slot"]
        finally:
            conn.execute(drop + numbers)
    assert f"{most} of {most} replication slots are taken" in finding["message"]
