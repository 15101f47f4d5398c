"""A copy that is killed, cut or restarted at its worst moment is finished by the next run."""

import json
from pathlib import Path

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone import sessions
from ansible_collections.landbridge.migration.plugins.modules import pg_clone
from tests.fix_clone import GATED, INDEXED, processes_of

pytestmark = [pytest.mark.postgres, pytest.mark.fault]

DONE = "SELECT id FROM landbridge.part WHERE finished IS NOT NULL ORDER BY 1"


def result_of(child):
    said = child.stdout.read()
    child.wait()
    return json.loads(said)


def test_a_run_killed_in_mid_copy_leaves_no_process_and_is_finished_by_the_next(
    gated, started, waiting, eventually, run_module, contents_of, as_superuser
):
    pair, lock = gated
    child = started(**pair)
    waiting(pair["target"])
    child.kill()
    eventually(lambda: not processes_of(pair["source"]) and not processes_of(pair["target"]))
    lock.execute("SELECT pg_advisory_unlock(42)")
    with as_superuser(pair["target"]) as conn:
        assert conn.execute("SELECT count(*) FROM public.big").fetchone() == (0,)
        done = conn.execute(DONE).fetchall()
    finished = run_module(pg_clone, **pair)
    assert finished["changed"] is True
    assert finished["parts_resumed"] == len(done) > 0
    assert finished["rows"] == 209_020
    assert contents_of(pair["target"]) == contents_of(pair["source"])


@pytest.mark.parametrize("side", ["source", "target"])
def test_sessions_cut_in_mid_copy_leave_nothing_half_done(
    gated, started, waiting, kill_sessions, run_module, contents_of, as_superuser, side
):
    pair, lock = gated
    child = started(**pair)
    waiting(pair["target"])
    kill_sessions(pair[side])
    if side == "source":  # psql stands still with its pipe full and hears of it as rows flow again
        lock.execute("SELECT pg_advisory_unlock(42)")
    failure = result_of(child)
    assert failure["msg"].startswith(f"{side}: ")
    assert failure["error"]["retryable"] is True, failure
    with as_superuser(pair["target"]) as conn:
        assert conn.execute("SELECT count(*) FROM public.big").fetchone() == (0,)
    assert run_module(pg_clone, **pair)["parts_resumed"] > 0
    assert contents_of(pair["target"]) == contents_of(pair["source"])


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_target_that_restarts_in_mid_copy_is_gone_on_with(
    gated, started, waiting, target_server, run_module, contents_of, how
):
    pair, _ = gated
    child = started(**pair)
    waiting(pair["target"])
    getattr(target_server, how)()
    failure = result_of(child)
    assert failure["msg"].startswith("target: ")
    assert failure["error"]["retryable"] is True
    target_server.start()
    assert run_module(pg_clone, **pair)["parts_resumed"] > 0
    assert contents_of(pair["target"]) == contents_of(pair["source"])


def test_a_run_killed_in_an_index_build_is_finished_by_the_next(
    source, target, started, waiting, run_module, contents_of, as_superuser, schema_of
):
    with psycopg.connect(**source, autocommit=True) as conn:
        conn.execute(GATED.format(check=""))
        conn.execute(INDEXED)
    with as_superuser(target) as conn:
        conn.execute("SELECT pg_advisory_lock(42)")
        child = started(source=source, target=target)
        waiting(target)
        child.kill()
    finished = run_module(pg_clone, source=source, target=target)
    assert finished["parts_resumed"] >= 2
    assert contents_of(target) == contents_of(source)
    assert schema_of(target) == schema_of(source)


def test_what_was_written_since_is_copied_again(gated, started, waiting, run_module, contents_of):
    pair, lock = gated
    child = started(**pair)
    waiting(pair["target"])
    child.kill()
    lock.execute("SELECT pg_advisory_unlock(42)")
    with psycopg.connect(**pair["source"], autocommit=True) as conn:
        conn.execute("UPDATE public.first SET filler = 'later' WHERE n < 5")
        conn.execute("DELETE FROM public.big WHERE n > 10")
    assert run_module(pg_clone, **pair)["changed"] is True
    assert contents_of(pair["target"]) == contents_of(pair["source"])


def test_a_schema_changed_since_is_refused(gated, started, waiting, run_module):
    pair, lock = gated
    child = started(**pair)
    waiting(pair["target"])
    child.kill()
    lock.execute("SELECT pg_advisory_unlock(42)")
    with psycopg.connect(**pair["source"], autocommit=True) as conn:
        conn.execute("ALTER TABLE public.small ADD COLUMN more integer")
    failure = run_module(pg_clone, **pair)
    assert failure["error"]["code"] == "precondition"
    assert "schema was changed" in failure["msg"]


def test_a_second_run_at_the_same_time_is_refused(gated, started, waiting, run_module, monkeypatch):
    pair, lock = gated
    child = started(**pair)
    waiting(pair["target"])
    monkeypatch.setattr(sessions, "LOCK_WAIT_MS", 200)
    failure = run_module(pg_clone, **pair)
    assert failure["error"]["code"] == "precondition"
    assert "another copy" in failure["msg"]
    lock.execute("SELECT pg_advisory_unlock(42)")
    assert result_of(child)["changed"] is True


def test_no_secret_is_seen_while_it_runs(gated, started, waiting):
    pair, lock = gated
    child = started(**pair)
    waiting(pair["target"])
    secrets = [pair[side]["password"].encode() for side in ("source", "target")]
    for argv in processes_of(pair["target"]) + processes_of(pair["source"]):
        assert not any(secret.decode() in arg for secret in secrets for arg in argv)
    for pid in _family(child.pid):
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        assert not any(secret in environ for secret in secrets)
    lock.execute("SELECT pg_advisory_unlock(42)")
    assert result_of(child)["changed"] is True


def _family(pid):
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(int(each) for task in tasks for each in task.read_text().split())]
