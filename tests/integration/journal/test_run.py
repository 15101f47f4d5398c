"""run in real playbooks: the journal's beginning, and the time before it."""

import json
import stat

import pytest

from ansible_collections.landbridge.migration.plugins.modules import migration_info
from tests.fix_journal import opened, reached, run

pytestmark = pytest.mark.postgres

SECRET = "canary/s3cret"


@pytest.fixture
def unborn(playbook):
    """The playbook's journal is a database that is not there yet."""
    playbook.server = {**playbook.server, "dbname": playbook.server["dbname"] + "_journal"}
    return playbook


def test_checkpoints_reached_before_the_journal_exists_are_brought_into_it(unborn, run_module):
    stage = [opened("preflight", inputs={"a": 1}), reached("preflight", evidence={"findings": 0})]
    first = unborn(run(), *stage, hosts=("shop", "identity", "media"))
    assert first.rc == 0
    assert first.results[0]["journal"] == "absent"
    pending = unborn.home / "pending.json"
    assert stat.S_IMODE(pending.stat().st_mode) == 0o600
    assert stat.S_IMODE(unborn.home.stat().st_mode) == 0o700
    second = unborn(run(), stage[0], run(create=True), stage[0], reached("postgres"))
    assert [row.get("reached") for row in second.results] == [None, True, None, True, None]
    assert [row.get("journal") for row in second.results[:3:2]] == ["absent", "present"]
    assert len(second.results[2]["checkpoints"]) == 3
    assert not pending.exists()
    found = run_module(migration_info, server=unborn.server, migration=unborn.migration)
    assert len(found["snapshot"]["checkpoints"]) == 4
    assert {timing["stage"] for timing in found["snapshot"]["timings"]} == {"preflight"}


def test_a_server_that_is_not_made_yet_is_no_error(playbook):
    playbook.server = {}
    done = playbook(run(), opened("preflight"), reached("preflight"), run(state="info"))
    assert done.rc == 0
    assert [c["stage"] for c in done.results[-1]["checkpoints"]] == ["preflight"]


def test_a_wrong_password_is_one_sentence_without_it(playbook, tmp_path):
    playbook.server = {**playbook.server, "password": SECRET}
    done = playbook(run(), arguments=["-vvv"])
    assert done.rc == 2
    assert done.failure.startswith("journal: connection to server")
    assert done.failure.count("\n") == 0
    assert done.results[0]["error"]["code"] == "postgres"
    assert SECRET not in done.output
    assert "Traceback" not in done.output


def test_the_password_is_nowhere_while_a_run_is_under_way(playbook, journal):
    password = playbook.server["password"]
    done = playbook(run(), opened("window"), reached("window"), arguments=["-vvv"])
    assert done.rc == 0
    assert password not in done.output
    assert password not in json.dumps(done.results)
    tables = journal("SELECT tablename FROM pg_tables WHERE schemaname = 'landbridge'")
    for (table,) in tables:
        assert password not in str(journal(f"SELECT * FROM landbridge.{table}"))


def test_a_closed_run_says_so_and_lets_the_lease_go(playbook, journal, eventually):
    playbook(run(), run(state="close", outcome="failed"))
    assert journal("SELECT outcome FROM landbridge.run") == [("failed",)]
    eventually(lambda: journal("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))


def test_a_run_that_ends_by_itself_is_ended_by_its_holder(playbook, journal, eventually):
    assert playbook(run()).results[0]["runs"][0]["state"] == "under way"
    eventually(lambda: journal("SELECT outcome FROM landbridge.run") == [("ended",)])


def test_a_journal_of_a_newer_landbridge_is_refused(playbook, journal):
    playbook(run())
    journal("INSERT INTO landbridge.journal_version VALUES (999)")
    assert "a newer Landbridge wrote it (schema 999" in playbook(run()).failure


def test_a_misspelt_option_is_named(playbook):
    assert "unsupported parameters: statte" in playbook(run(statte="open")).failure


def test_answers_are_recorded_once(playbook):
    answers = [{"id": "backup", "answer": True, "how": "sql", "evidence": {"backups": 3}}]
    done = playbook(
        run(), run(state="answer", answers=answers), run(state="answer", answers=answers)
    )
    assert [row["changed"] for row in done.results] == [True, True, False]


def test_timings_of_a_rehearsal_are_shown_by_what_it_rehearses(playbook):
    real = playbook.migration
    playbook.migration = f"{real}-rehearsal"
    playbook(run(kind="rehearsal", rehearsal_of=real), opened("window"), reached("window"))
    playbook.migration = real
    (timing,) = playbook(run()).results[0]["timings"]
    assert (timing["stage"], timing["kind"]) == ("window", "rehearsal")


@pytest.mark.target_major(13)
def test_the_journal_works_on_the_oldest_server(playbook):
    done = playbook(run(create=True), opened("window"), reached("window"), run())
    assert [c["stage"] for c in done.results[-1]["checkpoints"]] == ["window"]


@pytest.mark.target_major(18)
def test_the_journal_works_on_the_newest_server(playbook):
    done = playbook(run(create=True), opened("window"), reached("window"), run())
    assert [c["stage"] for c in done.results[-1]["checkpoints"]] == ["window"]


def test_migration_info_tells_that_there_is_no_journal(target, run_module):
    absent = {"changed": False, "journal": "absent", "migrations": [], "snapshot": {}}
    for server in (target, {**target, "dbname": "nowhere"}):
        found = run_module(migration_info, server=server)
        assert {name: found[name] for name in absent} == absent


def test_migration_info_names_the_side_and_hides_the_password(target, run_module):
    found = run_module(migration_info, server={**target, "password": SECRET})
    assert found["msg"].startswith("journal: ")
    assert SECRET not in str(found)
