"""The journal's records, asked of its database."""

import os
from dataclasses import replace

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.journal import lease, schema
from ansible_collections.landbridge.migration.plugins.module_utils.journal.records import (
    Opening,
    Place,
    reach,
)
from ansible_collections.landbridge.migration.plugins.module_utils.journal.store import Store
from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect

pytestmark = pytest.mark.postgres

PLACE = Place("window", "shop")
RUN = lease.this_run(os.getpid(), "acme")


@pytest.fixture
def store(target):
    """The journal of a run that holds the lease."""
    with connect("journal", target) as conn:
        schema.apply(conn)
        migration = {"migration": "acme", "description": "", "rehearsal_of": None}
        assert lease.take(conn, migration, RUN)
        yield Store(conn, "acme", RUN.run_id)


def reached(minute):
    started, finished = (f"2026-05-04T21:{minute:02}:{second}.000Z" for second in ("00", "01"))
    return reach(Opening(*PLACE, {"a": "1"}, [], started), {"at": minute}, RUN.run_id, finished)


def test_a_checkpoint_comes_back_as_it_was_recorded(store):
    store.record(reached(1))
    assert store.state(PLACE).current == {PLACE: reached(1)}
    assert store.state(PLACE).lease == "mine"


def test_proof_given_now_counts_although_a_clock_is_behind(store):
    store.record(reached(2))
    store.record(reached(1))
    assert store.state(PLACE).current == {PLACE: reached(1)}
    assert len(store.snapshot()["history"]) == 1


def test_older_proof_that_is_brought_in_does_not_replace_newer(store):
    store.record(reached(2))
    store.bring([reached(1)])
    assert store.state(PLACE).current == {PLACE: reached(2)}
    assert len(store.snapshot()["history"]) == 1


def test_what_is_recorded_twice_is_there_once(store):
    opening = Opening(*PLACE, {"a": "1"}, [], reached(1).started)
    for _ in range(2):
        store.begin(opening)
    assert store.state(PLACE).opening == opening
    for _ in range(2):
        store.record(reached(1))
    snapshot = store.snapshot()
    assert [len(snapshot[name]) for name in ("checkpoints", "history", "timings")] == [1, 0, 1]
    assert store.state(PLACE).opening is None


def test_evidence_of_any_text_is_kept(store):
    odd = replace(reached(1), evidence={"row": "a\u0000b", "name": "Größe 💡"})
    store.record(odd)
    assert store.state(PLACE).current[PLACE].evidence["name"] == "Größe 💡"
    assert store.snapshot()["checkpoints"][0]["stage"] == "window"


def test_the_tables_are_made_once(store, target):
    with connect("journal", target) as conn:
        assert schema.apply(conn) == 0


def test_the_lease_is_one_sessions_alone(store, target):
    other = lease.this_run(os.getppid(), "acme")
    with connect("journal", target) as conn:
        migration = {"migration": "acme", "description": "", "rehearsal_of": None}
        assert not lease.take(conn, migration, other)
        assert Store(conn, "acme", other.run_id).state().lease.startswith("another run of")
