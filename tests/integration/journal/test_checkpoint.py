"""checkpoint in real playbooks against a real journal."""

import pytest

from tests.fix_journal import cleared, opened, reached, run

pytestmark = pytest.mark.postgres

INPUTS = {"database": "shop", "jobs": 4}
WINDOW = [opened("window", inputs=INPUTS), reached("window", evidence={"sessions": 0})]
COPY = [
    opened("dataxfer", inputs=INPUTS, requires=["window"]),
    reached("dataxfer", evidence={"rows": 336776}),
]


def test_a_stage_reached_with_the_same_inputs_is_skipped_by_the_next_run(playbook, journal):
    first = playbook(run(), *WINDOW)
    assert [row["changed"] for row in first.results] == [True, False, True]
    assert first.results[1]["msg"] == "window was not reached before"
    again = playbook(run(), WINDOW[0])
    finished = first.results[2]["checkpoint"]["finished"]
    assert again.results[1]["reached"] is True
    assert again.results[1]["msg"] == (
        f"window was reached at {finished} with the same inputs;"
        " -e landbridge_redo=window does it again"
    )
    assert again.results[1]["checkpoint"] == first.results[2]["checkpoint"]
    assert not any(row["changed"] for row in again.results)
    assert journal("SELECT count(*) FROM landbridge.timing WHERE finished IS NOT NULL") == [(1,)]


def test_other_inputs_make_a_stage_due_again_and_are_named(playbook, journal):
    playbook(run(), *WINDOW)
    changed = {"database": "shop", "jobs": 8, "password": "n3ver", "role_map": {"a": "b"}}
    done = playbook(run(), opened("window", inputs=changed))
    assert done.results[1]["reached"] is False
    assert done.results[1]["msg"].endswith("is due again: other inputs: jobs, role_map")
    stored = str(journal("SELECT inputs::text FROM landbridge.timing"))
    assert "password" not in stored
    assert "n3ver" not in stored


def test_redo_opens_a_reached_stage_and_keeps_the_earlier_checkpoint(playbook, journal):
    playbook(run(), *WINDOW)
    done = playbook(run(), opened("window", inputs=INPUTS, redo=True), WINDOW[1])
    assert "is done again as asked" in done.results[1]["msg"]
    found = journal("SELECT superseded_why FROM landbridge.checkpoint ORDER BY checkpoint_id")
    assert found == [("done again",), (None,)]
    assert [c["stage"] for c in playbook(run()).results[0]["history"]] == ["window"]


def test_a_missing_prerequisite_fails_with_the_command_that_reaches_it(playbook):
    done = playbook(run(), COPY[0])
    assert done.rc == 2
    assert done.failure == (
        "dataxfer on shop cannot start: window on shop was not reached."
        " Run: ansible-playbook migrate.yml --tags window"
    )
    assert "Traceback" not in done.output


def test_a_stage_done_again_makes_all_that_builds_on_it_stale(playbook):
    verify = opened("verify", requires=["dataxfer"])
    playbook(run(), *WINDOW, *COPY)
    done = playbook(run(), opened("window", redo=True), WINDOW[1], verify)
    assert "dataxfer on shop is stale: window on shop was done again since" in done.failure
    assert done.failure.endswith("--tags dataxfer")
    again = playbook(run(), COPY[0])
    assert again.results[1]["reached"] is False
    assert again.results[1]["msg"].endswith("is due again: window on shop done since")


def test_a_checkpoint_taken_back_makes_what_builds_on_it_stale(playbook):
    playbook(run(), *WINDOW, *COPY)
    done = playbook(run(), cleared("window", reason="rolled back"), cleared("smoke"), run())
    assert [row["changed"] for row in done.results] == [False, True, False, False]
    (left,) = done.results[-1]["checkpoints"]
    assert (left["stage"], left["stale"]) == ("dataxfer", "window on shop was taken back since")
    assert done.results[-1]["history"][0]["superseded_why"] == "taken back: rolled back"


def test_what_led_to_a_later_stage_is_not_done_again_after_it(playbook):
    later = [opened("cutover"), reached("cutover")]
    playbook(run(), *WINDOW, *later)
    same = playbook(run(), opened("window", inputs=INPUTS, not_after="cutover"))
    assert same.results[1]["reached"] is True
    redone = playbook(run(), opened("window", inputs=INPUTS, not_after="cutover", redo=True))
    assert redone.failure.startswith("window on shop is not done again after cutover")
    assert "playbooks/rollback.yml" in redone.failure


def test_a_requirement_may_name_other_hosts(playbook):
    wants = [{"stage": "window", "hosts": ["old_postgres", "new_postgres"]}]
    done = playbook(run(), reached("window", host="old_postgres"), opened("verify", requires=wants))
    assert "window on new_postgres was not reached" in done.failure


def test_check_mode_tells_what_is_missing_and_writes_nothing(playbook, journal):
    first = playbook(run(), *COPY, arguments=["--check"])
    assert first.rc == 0
    assert first.results[1]["reached"] is False
    assert "window on shop was not reached" in first.results[1]["msg"]
    assert first.results[2]["msg"] == "dataxfer would be recorded"
    assert journal("SELECT to_regnamespace('landbridge')") == [(None,)]
    assert not playbook.home.exists()
    playbook(run(), *WINDOW)
    again = playbook(run(), WINDOW[0], *COPY, arguments=["--check"])
    assert [row.get("reached") for row in again.results] == [None, True, False, None]
    assert journal("SELECT stage FROM landbridge.checkpoint") == [("window",)]


def test_a_playbook_that_did_not_open_its_run_is_told_to(playbook):
    playbook(run())
    done = playbook(*WINDOW)
    assert "does not hold the lease" in done.failure
    assert "landbridge.migration.run with state: open" in done.failure
