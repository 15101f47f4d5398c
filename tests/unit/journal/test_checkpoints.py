import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PreconditionError
from ansible_collections.landbridge.migration.plugins.module_utils.journal.checkpoints import (
    Problem,
    complaint,
    in_order,
    judge,
    prerequisites,
    required_places,
    staleness,
)
from ansible_collections.landbridge.migration.plugins.module_utils.journal.fingerprint import (
    Requirement,
)
from ansible_collections.landbridge.migration.plugins.module_utils.journal.records import (
    Opening,
    Place,
    reach,
)

STARTED, FINISHED = "2026-05-04T21:00:00.000Z", "2026-05-04T21:00:02.500Z"


def checkpoint(stage, *below, host="shop", inputs=None, run_id="run-1"):
    requires = [Requirement(c.stage, c.host, c.digest) for c in below]
    opening = Opening(stage, host, inputs or {}, requires, STARTED)
    return reach(opening, {"rows": 3}, run_id, FINISHED)


def current(*checkpoints):
    return {c.place: c for c in checkpoints}


WINDOW = checkpoint("window")
COPY = checkpoint("dataxfer", WINDOW)
VERIFY = checkpoint("verify", COPY)


def test_proof_given_again_is_another_proof():
    again = checkpoint("window", run_id="run-2")
    assert again.fingerprint == WINDOW.fingerprint
    assert again.digest != WINDOW.digest
    assert WINDOW.elapsed_s == 2.5


def test_a_stage_required_by_name_is_the_one_on_the_same_host():
    wants = ["preflight", {"stage": "window", "hosts": ["old_a", "old_b"]}, {"stage": "postgres"}]
    assert [str(place) for place in required_places([*wants, "preflight"], "shop")] == [
        "preflight on shop", "window on old_a", "window on old_b", "postgres on shop",
    ]  # fmt: skip


def test_a_requirement_without_a_stage_is_refused():
    with pytest.raises(PreconditionError, match="names no stage"):
        required_places([{"hosts": ["a"]}], "shop")


def test_what_builds_on_current_checkpoints_holds():
    found = current(WINDOW, COPY, VERIFY)
    assert [staleness(place, found) for place in found] == ["", "", ""]


@pytest.mark.parametrize(
    "window, why",
    [
        (checkpoint("window", run_id="run-2"), "window on shop was done again since"),
        (None, "window on shop was taken back since"),
    ],
    ids=["done_again", "taken_back"],
)
def test_staleness_reaches_all_that_builds_on_it(window, why):
    found = current(*filter(None, [window, COPY, VERIFY]))
    assert staleness(VERIFY.place, found) == why


def test_prerequisites_that_do_not_hold_are_problems_with_a_command():
    found = current(checkpoint("window", run_id="run-2"), COPY)
    wants = [Place("dataxfer", "shop"), Place("preflight", "shop"), Place("preflight", "media")]
    requirements, problems = prerequisites(wants, found)
    assert requirements == []
    assert complaint(problems) == (
        "dataxfer on shop is stale: window on shop was done again since;"
        " preflight on shop, media was not reached."
        " Run: ansible-playbook migrate.yml --tags preflight,dataxfer"
    )


def test_of_many_hosts_the_first_are_named_and_the_rest_counted():
    problems = [Problem(Place("window", f"h{n}"), "was not reached") for n in range(9)]
    assert "window on h0, h1, h2 and 6 more was not reached." in complaint(problems)


@pytest.mark.parametrize(
    "inputs, below, how, msg",
    [
        ({"a": "1"}, [WINDOW], {}, f"dataxfer was reached at {FINISHED} with the same inputs;"),
        ({"a": "2", "b": "1"}, [WINDOW], {}, "is due again: other inputs: a, b"),
        ({}, [WINDOW], {}, "is due again: other inputs: a"),
        (
            {"a": "1"},
            [checkpoint("window", run_id="x")],
            {},
            "due again: window on shop done since",
        ),
        ({"a": "1"}, [WINDOW], {"redo": True}, "is done again as asked"),
        ({"a": "1"}, [WINDOW], {"redo": True, "run_id": "run-1"}, "with the same inputs;"),
    ],
    ids=["same", "other_inputs", "fewer_inputs", "other_base", "redo", "redo_done_by_this_run"],
)
def test_a_stage_is_judged_with_its_reason(inputs, below, how, msg):
    found = checkpoint("dataxfer", WINDOW, inputs={"a": "1"})
    requirements = [Requirement(c.stage, c.host, c.digest) for c in below]
    verdict = judge(found.place, inputs, requirements, current(found), **how)
    assert msg in verdict.msg
    assert verdict.reached is ("same inputs" in msg)


def test_stages_are_named_in_the_order_they_run():
    assert in_order({"own", "smoke", "verify", "preflight"}) == [
        "preflight", "verify", "smoke", "own",
    ]  # fmt: skip
