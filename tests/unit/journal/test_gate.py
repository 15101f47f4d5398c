import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PreconditionError
from ansible_collections.landbridge.migration.plugins.module_utils.journal import gate
from ansible_collections.landbridge.migration.plugins.module_utils.journal.records import (
    Answer,
    Decision,
    Opening,
    reach,
)

CHECKLIST = [
    {"id": "support", "text": "Support knows", "before": "window"},
    {
        "id": "backup",
        "text": "A backup exists",
        "answer": "sql",
        "contingency": {"text": "Take one"},
    },
    {"id": "billing", "text": "Billing agrees", "after": "smoke"},
]
ITEMS = gate.items_of(CHECKLIST)


def reached(stage, host):
    return reach(
        Opening(stage, host, {}, [], "2026-05-04T21:00:00Z"), {}, "r", "2026-05-04T21:00:01Z"
    )


CURRENT = {c.place: c for c in (reached("window", "old"), reached("verify", "shop"))}


@pytest.mark.parametrize(
    "item, complaint",
    [
        ({"text": "Support knows"}, "needs an id and a text"),
        ({"id": "support"}, "needs an id and a text"),
        (
            {"id": "a", "text": "b", "answer": "oracle"},
            "a is answered by oracle, not one of person",
        ),
        ({"id": "a", "text": "b", "before": "windoww"}, "a names no stage: windoww"),
        ({"id": "a", "text": "b", "before": "window", "after": "gate"}, "both before and after"),
        ({"id": "support", "text": "b"}, "two items have the id support"),
    ],
)
def test_a_wrong_item_is_refused(item, complaint):
    with pytest.raises(PreconditionError, match=complaint):
        gate.items_of([*CHECKLIST, item])


@pytest.mark.parametrize(
    "position, counts",
    [
        ({}, True),
        ({"before": "preflight"}, True),
        ({"before": "cutover"}, True),
        ({"before": "smoke"}, False),
        ({"after": "verify"}, True),
        ({"after": "gate"}, False),
        ({"after": "cutover"}, False),
    ],
)
def test_items_that_come_before_the_crossing_count(position, counts):
    (item,) = gate.items_of([{"id": "a", "text": "b", **position}])
    assert item.counts_at_gate is counts


@pytest.mark.parametrize(
    "answers, complaint",
    [
        ({"suport": True}, r"no item is called suport \(items: support, backup, billing\)"),
        ({"backup": True}, "backup is answered by sql, not by a person"),
        ({"support": "perhaps"}, "the answer to support is neither yes nor no: perhaps"),
    ],
)
def test_a_wrong_answer_is_refused(answers, complaint):
    with pytest.raises(PreconditionError, match=complaint):
        gate.persons_answers(answers, ITEMS)


@pytest.mark.parametrize(
    "answer, complaint",
    [
        (None, "support (Support knows) is not answered"),
        (Answer("support", "no"), "support (Support knows) was answered with no"),
        (Answer("support", "yes", "sql"), "support (Support knows) was answered by sql, and is"),
        (Answer("support", "yes", text="Other"), "has another text than when it was answered"),
        (Answer("support", "yes", text="Support knows"), ""),
    ],
)
def test_an_item_is_open_until_it_is_answered_with_yes_as_it_is_now(answer, complaint):
    answers = {"backup": Answer("backup", "yes", "sql")} | ({"support": answer} if answer else {})
    clauses = gate.unanswered(ITEMS, answers)
    assert complaint in "".join(clauses)
    assert bool(clauses) is bool(complaint)


def test_the_contingency_of_an_open_item_is_named():
    assert gate.unanswered(ITEMS, {})[1].endswith("is not answered; contingency: Take one")


def test_evidence_is_of_every_host_asked_for():
    parts, problems = gate.evidence_parts(
        ["window", "verify", "smoke"], {"verify": ["shop", "media"]}, CURRENT
    )
    assert list(parts) == ["window on old", "verify on shop"]
    assert [str(problem.place) for problem in problems] == ["verify on media", "smoke on any host"]


def test_no_stage_is_no_evidence():
    with pytest.raises(PreconditionError, match="no evidence to judge"):
        gate.evidence_parts([], {}, CURRENT)


def test_an_answer_is_part_of_the_evidence_and_its_measurements_are_not():
    one = gate.checklist_parts(ITEMS, {"backup": Answer("backup", "yes", evidence={"n": 1})})
    two = gate.checklist_parts(ITEMS, {"backup": Answer("backup", "yes", evidence={"n": 2})})
    other = gate.checklist_parts(ITEMS, {"backup": Answer("backup", "no")})
    assert one == two != other
    assert gate.checklist_parts(ITEMS, {"billing": Answer("billing", "yes")}) == {}


def test_what_changed_since_a_digest_is_named():
    asked = Decision("d1", "asked", "terminal", {"a": "1", "b": "1", "c": "1"}, "", "")
    assert gate.changes([asked], "d1", {"a": "1", "b": "2", "d": "1"}) == ["b", "c", "d"]
    assert gate.changes([asked], "unknown", {"a": "1"}) == []
