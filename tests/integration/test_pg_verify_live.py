"""pg_verify with live: the source is written to all the time, the target follows it."""

import json
from contextlib import contextmanager

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify import live
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify import (
    verify as verify_module,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.progress import (
    VerifyProgress,
)
from ansible_collections.landbridge.migration.plugins.modules import pg_verify

pytestmark = pytest.mark.postgres

SCHEMA = """
CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL DEFAULT 0, owner text);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account int, note text);
CREATE TABLE archive (id int PRIMARY KEY, what text);
CREATE TABLE log (at int, what text);
CREATE TABLE old_log (at int, what text);
CREATE TABLE flags (name text, nr int, up bool, PRIMARY KEY (name, nr));
CREATE TABLE parted (id int, day int, what text, PRIMARY KEY (id, day)) PARTITION BY LIST (day);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
CREATE TABLE staging (id int PRIMARY KEY, what text);
CREATE UNLOGGED TABLE cache (id int PRIMARY KEY);
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders;
CREATE SEQUENCE tickets;
ALTER TABLE log REPLICA IDENTITY FULL;
ALTER TABLE old_log REPLICA IDENTITY FULL;
INSERT INTO accounts SELECT n, 0, 'owner ' || n FROM generate_series(1, 3000) n;
INSERT INTO archive SELECT n, 'kept ' || n FROM generate_series(1, 20000) n;
INSERT INTO log SELECT n % 7, 'line ' || n % 50 FROM generate_series(1, 500) n;
INSERT INTO old_log SELECT n % 7, 'line ' || n % 50 FROM generate_series(1, 500) n;
INSERT INTO flags SELECT 'flag', n, false FROM generate_series(1, 50) n;
INSERT INTO parted SELECT n, 1 + n % 2, 'p' FROM generate_series(1, 1000) n;
"""

TABLES = ["accounts", "orders", "archive", "log", "old_log", "flags", "parted_1", "parted_2"]
TABLES.append("staging")

# What applications do, the n-th time.
WRITERS = (
    # One counter for everybody, hundreds of times a second.
    lambda n: "UPDATE public.accounts SET balance = balance + 1 WHERE id = 1",
    # Rows here and there, and new ones.
    lambda n: (
        f"UPDATE public.accounts SET balance = {n} WHERE id = {n * 31 % 2990 + 5};"
        f" INSERT INTO public.orders (account, note) VALUES ({n % 3000}, 'note {n}');"
        f" INSERT INTO public.log VALUES ({n % 7}, 'line {n % 50}')"
    ),
    # On and off, here and gone, one partition and the other: the same again and again.
    lambda n: (
        f"UPDATE public.flags SET up = NOT up WHERE nr = {n % 5 + 1};"
        f" DELETE FROM public.flags WHERE nr = 50;"
        f" UPDATE public.parted SET day = 3 - day WHERE id = {n % 10 + 1};"
        f" INSERT INTO public.flags VALUES ('flag', 50, false);"
        f" DELETE FROM public.log WHERE ctid = (SELECT min(ctid) FROM public.log)"
    ),
    # A load into an emptied table.
    lambda n: (
        "TRUNCATE public.staging; INSERT INTO public.staging"
        f" SELECT i, 'load {n}' FROM generate_series(1, 200) i"
    ),
)


@pytest.fixture
def pair(source, target, linked):
    for server in (source, target):
        with connect("test", server) as conn:
            conn.execute("SET search_path = public")
            conn.execute(SCHEMA)
    with connect("test", source) as conn:
        conn.execute("INSERT INTO public.cache VALUES (1); SELECT nextval('public.tickets')")
        conn.execute("SELECT lo_from_bytea(0, 'picture')")
    with connect("test", target) as conn:  # as its copy would have it: FULL is the source's
        conn.execute("ALTER TABLE public.old_log REPLICA IDENTITY DEFAULT")
    linked([("public", name) for name in TABLES])
    return {"source": source, "target": target}


@pytest.fixture
def verify(pair, run_module):
    """Return a function that changes the target and returns what pg_verify says then."""

    def run(*changes, **params):
        with connect("test", pair["target"]) as conn:
            conn.execute("SET search_path = public")
            for change in changes:
                conn.execute(change)
        return run_module(pg_verify, **pair, live=True, settle_s=5, **params)

    return run


def differing_rows(result):
    """Return the rows named, by table."""
    return {each["table"]: each["rows"] for each in result["evidence"]["differing"]}


@pytest.mark.parametrize(
    "major", [pytest.param(m, marks=pytest.mark.source_major(m)) for m in (17, 15)]
)
def test_no_row_in_flight_is_a_difference(verify, traffic, major):
    with traffic(*WRITERS):
        results = [verify() for _again in range(2)]
    for result in results:
        evidence = result["evidence"]
        assert evidence["equal"], result
        assert evidence["tables_compared"] == len(TABLES)
        assert evidence["source_version"] // 10000 == major
    assert sum(each["evidence"]["live"]["reread"] for each in results)


# What is done to the target, and how it is told.
PLANTED = {
    "UPDATE archive SET what = 'other' WHERE id = 4711": "id 4711 (changed in what)",
    "DELETE FROM archive WHERE id = 5": "id 5 (missing)",
    "INSERT INTO archive VALUES (0, 'never')": "id 0 (extra)",
    "UPDATE accounts SET owner = 'thief' WHERE id = 3": "id 3 (changed in owner)",
    "DELETE FROM accounts WHERE id = 2": "id 2 (missing)",
    "INSERT INTO accounts VALUES (-1, 5, 'ghost')": "id -1 (extra)",
    "INSERT INTO orders OVERRIDING SYSTEM VALUE VALUES (-7, 1, 'x')": "id -7 (extra)",
    "UPDATE flags SET up = true WHERE nr = 20": "name flag, nr 20 (changed in up)",
    "DELETE FROM parted WHERE id = 500": "id 500, day 1 (missing)",
}

PLANTED_WITHOUT_A_KEY = {
    "INSERT INTO old_log VALUES (1, 'never')": "extra",
    "DELETE FROM old_log WHERE ctid = (SELECT min(ctid) FROM old_log)": "missing",
    "INSERT INTO log VALUES (99, 'never')": "extra",
}


def test_every_row_that_differs_is_named_under_traffic(verify, traffic):
    with traffic(*WRITERS):
        result = verify(*PLANTED, *PLANTED_WITHOUT_A_KEY)
    assert result["error"]["code"] == "not_converged"
    rows = differing_rows(result)
    findings = [row for name in ("public.log", "public.old_log") for row in rows.pop(name)]
    assert sorted(row for named in rows.values() for row in named) == sorted(PLANTED.values())
    assert len(findings) == len(PLANTED_WITHOUT_A_KEY)
    assert sum("extra" in row for row in findings) == 2


def test_a_table_that_is_not_followed_differs(verify, pair):
    with connect("test", pair["source"]) as conn:
        conn.execute("ALTER PUBLICATION " + publication(conn) + " DROP TABLE public.archive")
        conn.execute("UPDATE public.archive SET what = 'new' WHERE id = 1")
    assert differing_rows(verify()) == {"public.archive": ["id 1 (changed in what)"]}


def publication(conn):
    ((name,),) = conn.execute("SELECT quote_ident(pubname) FROM pg_publication")
    return name


def test_what_is_not_replicated_is_named_with_its_reason_and_not_compared(verify, pair):
    with connect("test", pair["source"]) as conn:
        conn.execute("REFRESH MATERIALIZED VIEW public.totals")
    evidence = verify()["evidence"]
    assert evidence["equal"]
    skipped = {each["what"]: each["number"] for each in evidence["live"]["skipped"]}
    assert skipped == {
        "sequence": 2,
        "materialized view": 1,
        "unlogged table": 1,
        "large object": 1,
    }
    assert any("replica identity" in note for note in evidence["catalog"]["notes"])
    assert any("large objects" in note for note in evidence["catalog"]["notes"])


@pytest.fixture
def compare_writing(source, target):
    """Return a function: compare two tables, writing to both sides whenever the target is awaited.

    What is written to both is what replication would carry.
    """

    def run(on_source, on_target, *on_both):
        for server, change in ((source, on_source), (target, on_target)):
            with connect("test", server) as conn:
                conn.execute("CREATE TABLE public.busy (id int PRIMARY KEY, n int)")
                conn.execute("INSERT INTO public.busy SELECT g, 0 FROM generate_series(1, 500) g")
                conn.execute(change)

        @contextmanager
        def following(source, target, _timeout_s):
            with connect("test", source) as one, connect("test", target) as other:

                def passed():
                    for change in on_both:
                        one.execute(change)
                        other.execute(change)

                yield passed

        options = verify_module.Options(jobs=1, chunk_rows=1000, settle_s=1)
        return live.compare(source, target, options, VerifyProgress(None, ""), following)

    return run


def test_a_row_that_never_rests_is_listed_as_moving_and_is_no_difference(compare_writing):
    found = compare_writing(
        "UPDATE public.busy SET n = 7 WHERE id = 1",
        "UPDATE public.busy SET n = 8 WHERE id = 1",
        "UPDATE public.busy SET n = n + 3 WHERE id = 1",
    )
    assert found.equal
    assert found.evidence()["live"]["moving"] == [
        {"table": "public.busy", "key": {"id": "1"}, "rows": 1}
    ]


IN_FLIGHT = (
    "UPDATE public.busy SET n = n + 1 WHERE id IN (1, 2)",
    "UPDATE public.busy SET id = -id WHERE abs(id) = 3",
    "DELETE FROM public.busy WHERE id = 4",
    "INSERT INTO public.busy SELECT max(id) + 1, 5 FROM public.busy",
)


def test_rows_in_flight_are_found_without_a_search(compare_writing, monkeypatch):
    monkeypatch.delattr(live.differing, "examine")
    found = compare_writing("SELECT 1", "SELECT 1", *IN_FLIGHT)
    assert found.equal
    assert found.evidence()["live"]["reread"] >= 5


def test_a_wrong_row_among_those_in_flight_is_found_by_a_search(compare_writing):
    found = compare_writing("SELECT 1", "UPDATE public.busy SET n = 1 WHERE id = 400", *IN_FLIGHT)
    [table] = found.evidence()["differing"]
    assert table["rows"] == ["id 400 (changed in n)"]


def test_a_table_with_too_many_rows_in_flight_is_unsettled_and_not_equal(
    compare_writing, monkeypatch
):
    monkeypatch.setattr(live.in_flight, "MOST_ROWS", 10)
    monkeypatch.setattr(live, "LOOK", live.Look(1, 100, columns=False))
    found = compare_writing("SELECT 1", "SELECT 1", "UPDATE public.busy SET n = n + 1")
    assert not found.equal
    assert found.evidence()["live"]["unsettled"] == ["public.busy"]
    assert "Too many rows are in flight" in found.sentence()


@pytest.fixture
def nothing_follows(source, target):
    for server in (source, target):
        with connect("test", server) as conn:
            conn.execute("CREATE TABLE public.lonely (id int PRIMARY KEY)")
    return {"source": source, "target": target}


def test_a_target_that_does_not_follow_is_refused(nothing_follows, run_module):
    result = run_module(pg_verify, **nothing_follows, live=True)
    assert result["error"]["code"] == "precondition"
    assert result["msg"].startswith("target: it has no subscription to the source")


def test_a_subscription_that_is_disabled_is_named(pair, verify):
    with connect("test", pair["target"]) as conn:
        ((name,),) = conn.execute("SELECT subname FROM pg_subscription")
        conn.execute(f"ALTER SUBSCRIPTION {name} DISABLE")
        result = verify()
        conn.execute(f"ALTER SUBSCRIPTION {name} ENABLE")
    assert f"subscription {name} is disabled" in result["msg"]


def test_a_target_that_is_stuck_is_told_with_its_position(pair, verify, target_server):
    with target_server.as_superuser(pair["target"]["dbname"]) as locker, locker.transaction():
        locker.execute("LOCK TABLE public.archive IN EXCLUSIVE MODE")
        with connect("test", pair["source"]) as conn:
            conn.execute("UPDATE public.archive SET what = 'waits' WHERE id = 1")
        result = verify(lag_s=1)
    assert result["error"]["code"] == "deadline"
    assert result["error"]["retryable"]
    assert "the target to pass the source's position" in result["msg"]


def test_no_table_to_compare_is_a_failure(pair, verify, source, target):
    for server in (source, target):
        with connect("test", server) as conn:
            conn.execute("CREATE UNLOGGED TABLE public.only (id int PRIMARY KEY)")
    assert verify(tables=["public.only"])["failed"]


def test_progress_says_that_rows_in_flight_are_read_again(verify, traffic, tmp_path):
    path = tmp_path / "progress"
    with traffic(*WRITERS[:2]):
        verify("UPDATE accounts SET owner = 'thief' WHERE id = 3", progress_path=str(path))
    last = json.loads(path.read_text().splitlines()[-1])
    assert last["event"] == "done"
    assert "rows in flight re-read" in last["message"]
