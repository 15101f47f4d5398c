"""pg_follow against real servers whose sources are written to all the time."""

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.modules import pg_clone, pg_follow, pg_verify

pytestmark = pytest.mark.postgres

# Not carried by replication: what else differs would be a loss.
NOT_FOLLOWED = {"shop.unlogged", "shop.first_level", "shop.a_second_level"}

CATALOG = """
SELECT 'publication', pubname::text FROM pg_publication
UNION ALL SELECT 'slot', slot_name::text FROM pg_replication_slots
           WHERE database = current_database()
UNION ALL SELECT 'subscription', subname::text FROM pg_subscription
UNION ALL SELECT 'role', rolname::text FROM pg_roles
UNION ALL SELECT 'schema', nspname::text FROM pg_namespace WHERE nspname !~ '^pg_'
UNION ALL SELECT 'identity', c.oid::regclass || c.relreplident::text
            FROM pg_class c
           WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text !~ '^pg_'
UNION ALL SELECT 'identity index', indexrelid::regclass::text FROM pg_index WHERE indisreplident
 ORDER BY 1, 2"""


@pytest.fixture
def catalog(as_superuser):
    """Return a function: what a database and its server have that following could leave behind."""

    def read(server):
        with as_superuser(server) as conn:
            return conn.execute(CATALOG).fetchall()

    return read


@pytest.fixture
def rows_of(contents_of):
    """Return a function: the checksums of the tables that are followed."""

    def read(server):
        tables, _sequences, _objects = contents_of(server)
        return {name: found for name, found in tables.items() if name not in NOT_FOLLOWED}

    return read


@pytest.mark.parametrize(
    "majors",
    [
        pytest.param("17 to 17"),
        pytest.param("15 to 17", marks=pytest.mark.source_major(15)),
        pytest.param("13 to 17", marks=pytest.mark.source_major(13)),
        pytest.param("17 to 18", marks=pytest.mark.target_major(18)),
    ],
)
def test_all_that_is_written_meanwhile_arrives_and_nothing_is_left_behind(
    mixed_open, run_module, writing, arrived, rows_of, schema_of, catalog, absent, majors
):
    before = catalog(mixed_open["source"])
    with writing(mixed_open["source"]) as writer:
        first = run_module(pg_follow, **mixed_open)
        assert first.get("state") == "following", first
        assert first["changed"] is True
        begun = writer.count
        second = run_module(pg_follow, **mixed_open)
    assert writer.count > begun > 0
    assert (second["changed"], second["state"]) == (False, "following"), second
    assert second["evidence"]["rows"] == first["evidence"]["rows"] > 90_000
    assert second["diff"]["before"] == second["diff"]["after"]
    arrived(mixed_open["source"])
    assert rows_of(mixed_open["target"]) == rows_of(mixed_open["source"])
    removed = absent(mixed_open)
    assert (removed["changed"], removed["state"]) == (True, "absent"), removed
    assert catalog(mixed_open["source"]) == before
    assert absent(mixed_open)["changed"] is False
    if majors == "17 to 17":
        assert schema_of(mixed_open["target"]) == schema_of(mixed_open["source"])


def execute(server, statement):
    with psycopg.connect(**server, autocommit=True) as conn:
        return conn.execute(statement)


def one(server, statement):
    return execute(server, statement).fetchone()[0]


def test_check_mode_predicts_and_changes_nothing(few, run_module, catalog):
    before = catalog(few["source"]), catalog(few["target"])
    predicted = run_module(pg_follow, **few, check_mode=True, diff=True)
    assert (catalog(few["source"]), catalog(few["target"])) == before
    done = run_module(pg_follow, **few, diff=True)
    assert predicted["changed"] is done["changed"] is True
    assert predicted["parts_count"] == done["parts_count"]
    assert [each["name"] for each in predicted["tables"]] == [
        each["name"] for each in done["tables"]
    ]
    assert predicted["diff"]["before"] == done["diff"]["before"] == "state: absent\n"
    assert "public.children: DEFAULT -> FULL" in predicted["diff"]["after"]
    nothing = run_module(pg_follow, **few, check_mode=True)
    assert (nothing["changed"], nothing["state"]) == (False, "following")
    for state in ("stopped", "absent"):
        predicted = run_module(pg_follow, **few, state=state, check_mode=True)
        assert predicted["changed"] is True
        assert run_module(pg_follow, **few, check_mode=True)["changed"] is False
        done = run_module(pg_follow, **few, state=state)
        assert (done["diff"], done["changed"]) == (predicted["diff"], True)
        if state == "stopped":
            assert run_module(pg_follow, **few)["changed"] is True
    assert catalog(few["source"]) == before[0]


def test_a_database_without_tables_is_followed_like_any(source, target, run_module, absent):
    pair = {"source": source, "target": target}
    first = run_module(pg_follow, **pair)
    assert (first["state"], first["links_count"]) == ("following", 1)
    assert run_module(pg_follow, **pair)["changed"] is False
    verified = run_module(pg_verify, **pair, live=True)
    assert verified["evidence"]["equal"], verified
    absent(pair)


def test_what_was_stopped_goes_on_where_it_was(few, run_module, arrived, contents_of):
    run_module(pg_follow, **few)
    stopped = run_module(pg_follow, **few, state="stopped")
    assert (stopped["changed"], stopped["state"]) == (True, "stopped")
    assert run_module(pg_follow, **few, state="stopped")["changed"] is False
    execute(few["source"], "INSERT INTO public.parents VALUES (1000, 'meanwhile')")
    assert one(few["target"], "SELECT count(*) FROM public.parents") == 500
    assert run_module(pg_follow, **few)["state"] == "following"
    arrived(few["source"])
    assert one(few["target"], "SELECT count(*) FROM public.parents") == 501


def test_what_no_log_carries_is_as_it_was_at_the_snapshot_and_not_claimed(
    few, run_module, contents_of
):
    evidence = run_module(pg_follow, **few)["evidence"]
    assert {"sequences_count", "large_objects_count"}.isdisjoint(evidence)
    assert (evidence["tables_count"], evidence["rows"]) == (3, 1000)
    assert contents_of(few["target"]) == contents_of(few["source"])


def test_a_transaction_that_cannot_be_applied_is_named_and_goes_on_after_repair(
    few, run_module, arrived
):
    run_module(pg_follow, **few)
    execute(few["target"], "INSERT INTO public.parents VALUES (1001, 'in the way')")
    execute(few["source"], "INSERT INTO public.parents VALUES (1000, 'before')")
    execute(few["source"], "INSERT INTO public.parents VALUES (1001, 'theirs')")
    failed = run_module(pg_follow, **few)
    assert failed["error"]["code"] == "not_converged"
    blocked = failed["evidence"]["blocked"]
    assert blocked["change"] == "INSERT into public.parents (id = 1001)"
    assert "parents_pkey" in blocked["error"]
    assert blocked["change"] in failed["msg"]
    assert blocked["counters"]["apply_error_count"] > 0
    execute(few["target"], "DELETE FROM public.parents WHERE id = 1001")
    assert run_module(pg_follow, **few)["changed"] is False  # it goes on by itself
    arrived(few["source"])
    assert one(few["target"], "SELECT word FROM public.parents WHERE id = 1001") == "theirs"


def test_a_transaction_is_left_out_by_its_position_only(few, run_module, arrived):
    run_module(pg_follow, **few)
    execute(few["target"], "INSERT INTO public.parents VALUES (1001, 'stays')")
    execute(few["source"], "INSERT INTO public.parents VALUES (1001, 'left out')")
    execute(few["source"], "INSERT INTO public.parents VALUES (1002, 'after')")
    failed = run_module(pg_follow, **few)
    wrong = run_module(pg_follow, **few, skip_lsn="0/1A")
    assert wrong["error"]["code"] == "precondition"
    lsn = failed["evidence"]["blocked"]["lsn"]
    assert lsn in wrong["msg"]
    assert run_module(pg_follow, **few, skip_lsn=lsn)["state"] == "following"
    arrived(few["source"])
    assert one(few["target"], "SELECT word FROM public.parents WHERE id = 1001") == "stays"
    assert one(few["target"], "SELECT word FROM public.parents WHERE id = 1002") == "after"


def test_a_slot_that_is_gone_is_told_and_it_can_be_begun_anew(
    few, run_module, as_superuser, target_server
):
    run_module(pg_follow, **few)
    run_module(pg_follow, **few, state="stopped")
    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
    execute(few["source"], f"{drop} AND database = current_database()")
    failed = run_module(pg_follow, **few)
    assert failed["error"]["code"] == "precondition"
    assert "no slot any more" in failed["msg"]
    assert "landbridge_redo=dataxfer" in failed["error"]["hint"]
    assert run_module(pg_follow, **few, state="absent")["changed"] is True
    refused = run_module(pg_follow, **few)
    assert "is there already" in refused["msg"]
    execute(few["target"], "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    execute(few["target"], "SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
    assert run_module(pg_follow, **few)["state"] == "following"


def test_rows_that_cannot_be_told_apart_are_refused_unless_none_changes(few, run_module, catalog):
    execute(few["source"], "CREATE TABLE public.documents (at int, j json)")
    before = catalog(few["source"])
    for check_mode in (True, False):
        refused = run_module(pg_follow, **few, check_mode=check_mode)
        assert refused["error"]["code"] == "precondition"
        assert "public.documents has no key" in refused["msg"]
        assert "insert_only" in refused["error"]["hint"]
    assert catalog(few["source"]) == before
    followed = run_module(pg_follow, **few, insert_only=["public.documents"])
    assert followed["state"] == "following", followed


def test_a_source_of_somebody_elses_is_refused_with_the_grant(
    few, run_module, as_superuser, source
):
    with as_superuser(source) as conn:
        conn.execute(f"CREATE ROLE owner_of_{source['dbname']}")
        conn.execute(f"ALTER TABLE public.log OWNER TO owner_of_{source['dbname']}")
    refused = run_module(pg_follow, **few)
    assert "does not own 1 tables, first public.log" in refused["msg"]
    assert refused["error"]["hint"].startswith(f'GRANT "owner_of_{source["dbname"]}" TO')


def test_a_source_that_the_target_does_not_reach_is_told_before_anything_is_made(
    few, run_module, catalog
):
    before = catalog(few["source"])
    refused = run_module(pg_follow, **few, addresses={"source": {"port": 1}})
    assert "port 1" in refused["msg"]
    assert few["source"]["password"] not in str(refused)
    assert catalog(few["source"]) == before


@pytest.mark.target_major(15)
def test_a_target_that_lets_nobody_subscribe_is_refused(few, run_module, source_major):
    refused = run_module(pg_follow, **few)
    assert "older than the source's" in refused["msg"] or "may not subscribe" in refused["msg"]


def test_a_copy_of_a_closed_source_is_not_followed_nor_the_other_way_round(few, run_module):
    pair = {side: few[side] for side in ("source", "target")}
    run_module(pg_clone, **pair)
    assert "a source that was closed" in run_module(pg_follow, **few)["msg"]
    assert run_module(pg_follow, **pair, state="absent")["changed"] is False
    assert run_module(pg_clone, **pair)["changed"] is False
