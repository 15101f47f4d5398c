"""Following that is killed, cut or restarted at its worst moment: nothing lost, nothing twice."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import LandbridgeError
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone import plan
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.progress import Progress
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import sides
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.follow import follow
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.request import Request
from ansible_collections.landbridge.migration.plugins.modules import (
    pg_cutover,
    pg_fence,
    pg_follow,
)
from tests.fix_clone import processes_of

pytestmark = [pytest.mark.postgres, pytest.mark.fault]

# `small` refers to `first`, which is of the first epoch; `big` is of the second.
WRITES = """
INSERT INTO public.first VALUES (10000 + {n}, 'new');
INSERT INTO public.small VALUES (10000 + {n} - 1);
UPDATE public.first SET filler = 'later ' || {n} WHERE n = {n} % 9000 + 1;
UPDATE public.big SET filler = 'later ' || {n} WHERE n = 200000 - {n};
DELETE FROM public.big WHERE n = {n};
INSERT INTO public.big VALUES (1000000 + {n}, 'new');
UPDATE public.small SET n = n WHERE n < 3
"""
NOT_VALID = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated"
EPOCHS = "SELECT number, count(*) FROM landbridge.epoch GROUP BY 1 ORDER BY 1"
SLOTS = "SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"
STEADY = {"lag_s": 30.0, "timeout": 120.0}


@pytest.fixture
def rows_of(contents_of):
    def read(server):
        tables, _sequences, _objects = contents_of(server)
        return {name: found for name, found in tables.items() if name != "public.fleeting"}

    return read


def test_a_run_killed_in_mid_copy_is_finished_by_the_next_under_writes(
    gated, started, waiting, writing, eventually, run_module, arrived, rows_of, as_superuser, absent
):
    pair, lock = gated
    with writing(pair["source"], WRITES):
        child = started("pg_follow", **pair, **STEADY)
        waiting(pair["target"])
        child.kill()
        eventually(lambda: not processes_of(pair["source"]) and not processes_of(pair["target"]))
        lock.execute("SELECT pg_advisory_unlock(42)")
        finished = run_module(pg_follow, **pair, **STEADY)
        assert finished.get("state") == "following", finished
    assert finished["parts_resumed"] > 0
    assert [each["epoch"] for each in finished["links"]] == [1, 2]
    assert finished["evidence"]["epochs_count"] == 2
    arrived(pair["source"])
    assert rows_of(pair["target"]) == rows_of(pair["source"])
    again = run_module(pg_follow, **pair, **STEADY)
    assert again["findings"] == []
    with as_superuser(pair["target"]) as conn:
        assert conn.execute(NOT_VALID).fetchone() == (0,)
        assert len(conn.execute(EPOCHS).fetchall()) == 2
    assert run_module(pg_follow, **pair, **STEADY)["changed"] is False
    lock.close()  # a superuser's, whom no fence holds
    there_and_back(pair, run_module)
    assert run_module(pg_follow, **pair, **STEADY)["changed"] is False
    with as_superuser(pair["target"]) as conn:
        assert [number for number, _parts in conn.execute(EPOCHS)] == [1]
    absent(pair)


def there_and_back(pair, run_module):
    """Cross to the target and back; the link is another one then, for all tables."""
    run_module(pg_fence, server=pair["target"], state="fenced", note="never opened")
    for direction in ("forward", "back"):
        sides = {side: pair[side] for side in ("source", "target")}
        crossed = run_module(pg_cutover, **sides, direction=direction)
        assert crossed.get("evidence", {}).get("way_back") == "following", crossed


def test_a_table_half_of_whose_ranges_are_in_is_begun_again(
    gated, kill_sessions, waiting, writing, rows_of, arrived, absent, monkeypatch
):
    pair, _lock = gated  # killed with the target's other sessions
    monkeypatch.setattr(plan, "SPLIT_FROM_S", 0.01)
    request = Request(**pair, jobs=4, lag_s=30.0, timeout_s=120.0)
    silent = Progress(None, "test")
    with writing(pair["source"], WRITES), ThreadPoolExecutor(1) as pool:
        first = pool.submit(follow, request, silent)
        waiting(pair["target"], parts=5)
        kill_sessions(pair["target"])
        with pytest.raises(LandbridgeError):
            first.result()
        finished = follow(request, silent)
    again = {part.id: part.epoch for part in finished.found.parts if part.payload.get("oid")}
    assert len([each for each in again.values() if each == 2]) > 2, again
    arrived(pair["source"])
    assert rows_of(pair["target"]) == rows_of(pair["source"])
    absent(pair)


def test_an_epoch_that_finished_no_table_leaves_nothing(
    few, run_module, monkeypatch, as_superuser, started, eventually
):
    with as_superuser(few["source"]) as conn:
        conn.execute("BEGIN; SELECT pg_current_xact_id()")  # a slot waits for it
        child = started("pg_follow", **few)
        eventually(lambda: conn.execute(SLOTS).fetchone()[0] == 1, timeout=60)
        child.kill()
        conn.execute("ROLLBACK")
    followed = run_module(pg_follow, **few)
    assert [each["epoch"] for each in followed["links"]] == [1]
    assert followed["state"] == "following"


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_servers_that_restart_and_links_that_are_cut_are_come_back_from(
    few, run_module, source_server, target_server, kill_sessions, arrived, how, rows_of
):
    run_module(pg_follow, **few)
    for server, side in ((source_server, "source"), (target_server, "target")):
        getattr(server, how)()
        server.start()
        with psycopg.connect(**few["source"], autocommit=True) as conn:
            conn.execute("INSERT INTO public.log (document) VALUES ('{}')")
            conn.execute("UPDATE public.children SET word = word || '.'")
        kill_sessions(few[side])
    followed = run_module(pg_follow, **few)
    assert (followed.get("state"), followed.get("changed")) == ("following", False), followed
    arrived(few["source"])
    assert rows_of(few["target"]) == rows_of(few["source"])


def test_no_secret_is_seen_while_it_follows(gated, started, waiting, absent):
    pair, lock = gated
    child = started("pg_follow", **pair, **STEADY)
    waiting(pair["target"])
    secrets = [pair[side]["password"] for side in ("source", "target")]
    for argv in processes_of(pair["target"]) + processes_of(pair["source"]):
        assert not any(secret in arg for secret in secrets for arg in argv)
    lock.execute("SELECT pg_advisory_unlock(42)")
    said = child.stdout.read()
    assert '"state": "following"' in said
    assert not any(secret in said for secret in secrets)
    absent(pair)


def test_a_second_run_at_the_same_time_is_refused(
    gated, started, waiting, run_module, monkeypatch, absent
):
    pair, lock = gated
    child = started("pg_follow", **pair, **STEADY)
    waiting(pair["target"])
    monkeypatch.setattr(sides, "LOCK_WAIT_MS", 200)
    for state in ("following", "absent"):
        failure = run_module(pg_follow, **pair, **STEADY, state=state)
        assert "another run of pg_follow" in failure["msg"]
    lock.execute("SELECT pg_advisory_unlock(42)")
    assert '"state": "following"' in child.stdout.read()
    absent(pair)
