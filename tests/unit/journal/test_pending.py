import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PreconditionError
from ansible_collections.landbridge.migration.plugins.module_utils.journal.lease import this_run
from ansible_collections.landbridge.migration.plugins.module_utils.journal.pending import (
    NAME,
    Pending,
)
from ansible_collections.landbridge.migration.plugins.module_utils.journal.records import (
    Answer,
    Decision,
    Opening,
    Place,
    reach,
)

STARTED, FINISHED = "2026-05-04T21:00:00.000Z", "2026-05-04T21:00:01.000Z"


@pytest.fixture
def pending(tmp_path):
    return Pending(tmp_path / "home", "acme", this_run(os.getpid(), "acme"))


def reached(stage, host="shop"):
    return reach(Opening(stage, host, {"a": "1"}, [], STARTED), {"rows": 3}, "r", FINISHED)


def test_reading_makes_no_file(pending, tmp_path):
    assert pending.state().current == {}
    assert pending.snapshot()["checkpoints"] == []
    assert not (tmp_path / "home").exists()


def test_what_is_recorded_is_read_again(pending):
    window = reached("window")
    pending.begin(Opening("window", "shop", {"a": "1"}, [], STARTED))
    assert pending.state(Place("window", "shop")).opening.started == STARTED
    pending.record(window)
    pending.answer([Answer("support", "yes")])
    pending.decide(Decision("d", "asked", "terminal", {}, "ops", STARTED))
    state = pending.state(Place("window", "shop"))
    assert (state.current, state.opening) == ({window.place: window}, None)
    assert pending.answers() == {"support": Answer("support", "yes")}
    assert pending.decisions()[0].digest == "d"
    pending.clear(window.place, "rolled back")
    assert pending.state().current == {}


def test_workers_that_write_at_once_lose_nothing(pending):
    hosts = [f"h{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda host: pending.record(reached("preflight", host)), hosts))
    assert {place.host for place in pending.state().current} == set(hosts)


def test_only_its_owner_reads_it(pending, tmp_path):
    pending.record(reached("window"))
    assert stat.S_IMODE((tmp_path / "home" / NAME).stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == [NAME]


@pytest.mark.parametrize(
    "text, complaint",
    [("{", "is damaged"), ('{"migration": "other"}', "is of migration other, not acme")],
)
def test_a_file_of_another_hand_is_refused(pending, tmp_path, text, complaint):
    pending.record(reached("window"))
    (tmp_path / "home" / NAME).write_text(text)
    with pytest.raises(PreconditionError, match=complaint):
        pending.state()
