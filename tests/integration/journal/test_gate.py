"""gate in real playbooks: go is given to exactly this evidence, and never by silence."""

import json

import ansible_runner
import pexpect
import pytest

from tests.fix_journal import DEADLINE_S, gate, opened, outcome, reached, run

pytestmark = pytest.mark.postgres

EVIDENCE = [run(), opened("window"), reached("window", evidence={"sessions": 0})]
CHECKLIST = [
    {"id": "support", "text": "Support knows", "before": "window"},
    {"id": "backup", "text": "A backup exists", "answer": "sql", "contingency": "Take one"},
    {"id": "billing", "text": "Billing agrees", "after": "smoke"},
]


@pytest.fixture
def digest(playbook):
    """The digest of evidence that is complete and that nobody has said go to."""
    return playbook(*EVIDENCE, gate(["window"])).results[-1]["digest"]


def decisions(journal):
    return journal("SELECT decision, how, digest FROM landbridge.decision ORDER BY decision_id")


def test_without_a_terminal_the_gate_fails_and_says_what_to_say(playbook, journal):
    done = playbook(*EVIDENCE, gate(["window"]))
    digest = done.results[-1]["digest"]
    assert done.rc == 2
    assert done.failure.endswith(f"-e landbridge_go={digest}")
    assert decisions(journal) == [("asked", "terminal", digest)]


def test_go_to_this_digest_holds_and_is_recorded_once(playbook, journal, digest):
    first = playbook(run(), gate(["window"], go=digest))
    again = playbook(run(), gate(["window"]))
    assert [(d.rc, d.results[-1]["changed"]) for d in (first, again)] == [(0, True), (0, False)]
    assert decisions(journal)[1:] == [("go", "variable", digest)]
    assert again.results[-1]["landbridge"]["decision"]["parts"].keys() == {"window on shop"}


def test_go_to_other_evidence_is_refused_and_what_changed_is_named(playbook, digest):
    more = [reached("verify"), *EVIDENCE[1:]]
    done = playbook(run(), *more, gate(["window", "verify"], go=digest))
    assert f"go was given to {digest}, but the evidence now has the digest" in done.failure
    assert "changed since: window on shop, verify on shop" in done.failure
    assert playbook(run(), gate(["window"], go="1234")).rc == 2


def test_missing_and_stale_evidence_is_refused_whatever_is_said(playbook):
    done = playbook(
        *EVIDENCE,
        reached("verify", requires=["window"]),
        reached("window"),
        gate(["verify", "smoke"], hosts={"smoke": ["shop"]}, policy="evidence"),
    )
    assert "verify on shop is stale: window on shop was done again since" in done.failure
    assert "smoke on shop was not reached" in done.failure
    assert done.failure.endswith("--tags verify,smoke")


def test_policy_evidence_takes_complete_evidence_for_go(playbook, journal):
    done = playbook(*EVIDENCE, gate(["window"], policy="evidence"))
    assert done.results[-1]["msg"].startswith("go (policy) to ")
    assert [row[:2] for row in decisions(journal)] == [("go", "policy")]


def test_no_is_recorded_and_stops_the_run(playbook, journal, digest):
    done = playbook(run(), gate(["window"], go="no", policy="evidence"))
    assert (done.rc, done.failure) == (2, f"gate: no-go was said to {digest}")
    assert decisions(journal)[-1] == ("no-go", "variable", digest)
    assert playbook(run(), gate(["smoke"], go="no")).results[-1]["decision"] == "no-go"


def test_open_items_of_the_checklist_are_named_until_they_are_answered(playbook):
    done = playbook(*EVIDENCE, gate(["window"], checklist=CHECKLIST, policy="evidence"))
    assert "support (Support knows) is not answered" in done.failure
    assert "backup (A backup exists) is not answered; contingency: Take one" in done.failure
    assert "billing" not in done.failure
    answers = {"support": {"answer": "yes", "note": "by mail"}}
    found = run(state="answer", answers=[{"id": "backup", "answer": "yes", "how": "sql"}])
    last = gate(["window"], checklist=CHECKLIST, policy="evidence", answers=answers)
    assert playbook(run(), found, last).rc == 0
    done = playbook(run(), gate(["window"], checklist=CHECKLIST, policy="evidence"))
    assert done.rc == 0
    shown = {item["id"]: item["answer"] for item in done.results[-1]["landbridge"]["checklist"]}
    assert shown == {"support": "yes", "backup": "yes", "billing": ""}


def test_a_stage_waits_for_what_the_checklist_wants_before_it(playbook):
    waits = gate(None, checklist=CHECKLIST, before="window")
    done = playbook(*EVIDENCE, waits)
    assert done.failure.startswith("window waits for the checklist: support (Support knows)")
    other = gate(None, checklist=CHECKLIST, before="verify")
    assert playbook(run(), other).rc == 0
    told = run(state="answer", answers=[{"id": "backup", "answer": "yes", "how": "sql"}])
    given = gate(None, checklist=CHECKLIST, before="window", answers={"support": "yes"})
    assert playbook(run(), told, given).rc == 0
    assert playbook(run(), waits).rc == 0


def test_a_misspelt_answer_is_refused_with_the_names_there_are(playbook):
    done = playbook(run(), gate(["window"], checklist=CHECKLIST, answers={"suport": True}))
    assert "no item is called suport (items: support, backup, billing)" in done.failure


def test_check_mode_asks_nothing_and_records_nothing(playbook, journal, digest):
    recorded = decisions(journal)
    done = playbook(run(), gate(["window"]), gate(["smoke"]), arguments=["--check"])
    assert done.rc == 0
    assert [row.get("decision") for row in done.results] == [None, "asked", ""]
    assert decisions(journal) == recorded


@pytest.mark.parametrize("typed, said", [("{start}", "go"), ("no", "no-go")])
def test_at_a_terminal_a_person_types_the_start_of_the_digest(
    playbook, journal, digest, typed, said
):
    paths = playbook.write(run(), gate(["window"]))
    command, *argv = playbook.argv(paths)
    terminal = pexpect.spawn(
        command, argv, env=playbook.environment(paths), cwd=playbook.folder, timeout=DEADLINE_S
    )
    terminal.expect(f"Type {digest[:8]} to go, or no:")
    terminal.sendline("something")
    terminal.expect("is neither")
    terminal.sendline(typed.format(start=digest[:8]))
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert outcome(terminal.exitstatus, paths).results[-1]["decision"] == said
    assert decisions(journal)[-1] == (said, "terminal", digest)


def test_under_ansible_runner_nobody_is_asked_at_its_terminal(playbook, journal, digest):
    paths = playbook.write(run(), gate(["window"]))
    folder = playbook.folder / "runner"
    folder.mkdir()
    done = ansible_runner.run(
        private_data_dir=str(folder),
        playbook=str(paths.play),
        inventory=str(paths.inventory),
        envvars=playbook.environment(paths),
        quiet=True,
        timeout=DEADLINE_S,
    )
    assert (done.status, done.rc) == ("failed", 2)
    began, result = [json.loads(line) for line in paths.results.read_text().splitlines()]
    assert began["lease"]["state"] == "mine"
    assert result["msg"].endswith(f"-e landbridge_go={digest}")
