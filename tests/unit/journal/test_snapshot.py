from ansible_collections.landbridge.migration.plugins.module_utils.journal.records import (
    Opening,
    reach,
)
from ansible_collections.landbridge.migration.plugins.module_utils.journal.snapshot import (
    checkpoints,
    shown,
)

STARTED, FINISHED = "2026-05-04T21:00:00.000Z", "2026-05-04T21:00:01.000Z"
RUN = {"run_id": "r", "started": STARTED, "finished": None, "outcome": None}
HOLDER = {
    "backend_pid": 7,
    "run_id": "r",
    "username": "ops",
    "hostname": "control",
    "pid": 4711,
    "process_started": "2026-05-04T21:00:00+00:00",
}
EMPTY = {"checkpoints": [], "answers": [], "decisions": []}


def test_evidence_beyond_the_budget_is_left_out_the_oldest_first():
    found = [
        reach(Opening("preflight", f"h{n}", {}, [], STARTED), {"text": "x" * 80}, "r", FINISHED)
        for n in range(4)
    ]
    shown = checkpoints(found, budget=200)
    assert [row.get("evidence_left_out", False) for row in shown] == [True, True, False, False]
    assert [row["host"] for row in shown] == ["h0", "h1", "h2", "h3"]


def test_a_run_without_an_end_is_under_way_while_it_holds_the_lease():
    snapshot = shown("acme", "r", {**EMPTY, "runs": [RUN], "holder": HOLDER})
    assert snapshot["runs"][0]["state"] == "under way"
    assert snapshot["lease"]["state"] == "mine"
    assert snapshot["lease"]["process_started"] == "2026-05-04T21:00:00.000Z"
    assert shown("acme", "other", {**EMPTY, "holder": HOLDER})["lease"]["state"] == "held"


def test_a_run_without_an_end_and_without_the_lease_ended_without_saying_so():
    snapshot = shown("acme", "other", {**EMPTY, "runs": [RUN], "holder": None})
    assert snapshot["runs"][0]["state"] == "ended without saying so"
    assert snapshot["lease"] == {"state": "free"}
