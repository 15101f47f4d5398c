# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What go is given to: a digest over all evidence and the checklist's answers. Pure.

Go is given to a digest, so it holds for exactly what was looked at. The parts behind a digest are
kept with each decision: when go comes for another digest, what has changed can be named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import PreconditionError
from .checkpoints import STAGES, Current, Problem, prerequisites, rank
from .fingerprint import sha256, without_secrets
from .records import Answer, Decision, Place

HOW = ("person", "sql", "http", "command")
WORDS = {
    "yes": ("yes", "y", "true", "ok", "done", "1"),
    "no": ("no", "n", "false", "0"),
}
NO_GO = frozenset({"no", "no-go", "nogo", "false"})
TYPED = 8  # characters of the digest that a person types


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the checklist.

    :param position: ``before`` or ``after``, and the stage; empty: before the gate.
    """

    id: str
    text: str
    how: str
    position: tuple[str, str] | None
    contingency: str

    @property
    def counts_at_gate(self) -> bool:
        """Tell if it has to be answered before traffic crosses."""
        if self.position is None:
            return True
        side, stage = self.position
        return rank(stage) <= rank("cutover") if side == "before" else rank(stage) < rank("gate")


def items_of(checklist: Iterable[Mapping[str, Any]]) -> list[Item]:
    """Return the items of ``landbridge_checklist``. Raise PreconditionError for a wrong one."""
    items: dict[str, Item] = {}
    for entry in checklist:
        item = _item(entry)
        if item.id in items:
            raise PreconditionError(f"checklist: two items have the id {item.id}")
        items[item.id] = item
    return list(items.values())


def _item(entry: Mapping[str, Any]) -> Item:
    name = str(entry.get("id") or "")
    if not name or not entry.get("text"):
        raise PreconditionError(f"checklist: an item needs an id and a text: {dict(entry)}")
    how = str(entry.get("answer") or "person")
    if how not in HOW:
        raise PreconditionError(
            f"checklist: item {name} is answered by {how}, not one of {', '.join(HOW)}"
        )
    contingency = entry.get("contingency") or ""
    if isinstance(contingency, Mapping):
        contingency = str(contingency.get("text") or contingency.get("playbook") or "")
    return Item(name, str(entry["text"]), how, _position(name, entry), str(contingency))


def _position(name: str, entry: Mapping[str, Any]) -> tuple[str, str] | None:
    found = [(side, str(entry[side])) for side in ("before", "after") if entry.get(side)]
    if len(found) > 1:
        raise PreconditionError(f"checklist: item {name} is both before and after a stage")
    for _side, stage in found:
        if stage not in STAGES:
            raise PreconditionError(
                f"checklist: item {name} names no stage: {stage} (stages: {', '.join(STAGES)})"
            )
    return found[0] if found else None


def due_before(stage: str, items: Iterable[Item]) -> list[Item]:
    """Return the items that are to be answered before ``stage``."""
    return [item for item in items if item.position == ("before", stage)]


def yes_or_no(value: Any, item: str) -> str:
    """Return ``yes`` or ``no``. Raise PreconditionError if ``value`` is neither."""
    said = str(value).strip().lower()
    for answer, words in WORDS.items():
        if said in words:
            return answer
    raise PreconditionError(f"checklist: the answer to {item} is neither yes nor no: {value}")


def answers_of(entries: Iterable[Mapping[str, Any]]) -> list[Answer]:
    """Return answers from dicts: id, answer, and optionally how, text, note, evidence."""
    answers = []
    for entry in entries:
        name, how = str(entry.get("id") or ""), str(entry.get("how") or "person")
        if not name or "answer" not in entry:
            raise PreconditionError(f"checklist: an answer needs an id and an answer: {entry}")
        if how not in HOW:
            raise PreconditionError(f"checklist: {name} was answered by {how}, not by {HOW}")
        answers.append(
            Answer(
                name,
                yes_or_no(entry["answer"], name),
                how,
                str(entry.get("text") or ""),
                str(entry.get("note") or ""),
                without_secrets(dict(entry.get("evidence") or {})),
            )
        )
    return answers


def persons_answers(given: Mapping[str, Any], items: Iterable[Item]) -> list[Answer]:
    """Return what persons answer by ``landbridge_answers``: yes, no, or a dict with a note.

    Raise PreconditionError for an id that the checklist does not have, or that a machine answers.
    """
    known = {item.id: item for item in items}
    if unknown := sorted(given.keys() - known.keys()):
        names = ", ".join(known) or "none"
        raise PreconditionError(
            f"checklist: no item is called {', '.join(unknown)} (items: {names})"
        )
    answers = []
    for name, value in given.items():
        item = known[name]
        if item.how != "person":
            raise PreconditionError(f"checklist: {name} is answered by {item.how}, not by a person")
        entry = value if isinstance(value, Mapping) else {"answer": value}
        answers += answers_of([{**entry, "id": name, "text": item.text, "how": "person"}])
    return answers


def unanswered(items: Iterable[Item], answers: Mapping[str, Answer]) -> list[str]:
    """Return a clause for each item that counts at the gate and is not answered with yes."""
    clauses = []
    for item in items:
        if item.counts_at_gate and (why := _open_why(item, answers.get(item.id))):
            contingency = f"; contingency: {item.contingency}" if item.contingency else ""
            clauses.append(f"{item.id} ({item.text}) {why}{contingency}")
    return clauses


def _open_why(item: Item, answer: Answer | None) -> str:
    if answer is None:
        return "is not answered"
    if answer.how != item.how:
        return f"was answered by {answer.how}, and is to be by {item.how}"
    if answer.text and answer.text != item.text:
        return "has another text than when it was answered"
    return "" if answer.answer == "yes" else "was answered with no"


def evidence_parts(
    stages: Sequence[str], hosts: Mapping[str, Sequence[str]], current: Current
) -> tuple[dict[str, str], list[Problem]]:
    """Return the digest of each checkpoint that go needs, by its place, and what does not hold.

    A stage whose hosts are not given counts on every host that has reached it.
    """
    if not stages:
        raise PreconditionError("gate: no stage is named, so there would be no evidence to judge")
    places = []
    for stage in stages:
        reached = [place.host for place in current if place.stage == stage]
        names = hosts.get(stage, reached)
        places += [Place(stage, str(host)) for host in names] or [Place(stage, "any host")]
    requirements, problems = prerequisites(places, current)
    return {str(Place(r.stage, r.host)): r.digest for r in requirements}, problems


def checklist_parts(items: Iterable[Item], answers: Mapping[str, Answer]) -> dict[str, str]:
    """Return the digest of each answer that counts, by the item's name."""
    return {
        f"answer to {item.id}": sha256([item.text, item.how, answers[item.id].answer])
        for item in items
        if item.counts_at_gate and item.id in answers
    }


def changes(decisions: Iterable[Decision], digest: str, parts: Mapping[str, str]) -> list[str]:
    """Return the names of the parts that differ from those that ``digest`` was made of."""
    for decision in decisions:
        if decision.digest == digest:
            before = decision.parts
            names = dict.fromkeys([*before, *parts])
            return [name for name in names if before.get(name) != parts.get(name)]
    return []


def checklist_shown(items: Iterable[Item], answers: Mapping[str, Answer]) -> list[dict[str, Any]]:
    """Return the checklist with its answers, as results and reports show it."""
    rows = []
    for item in items:
        answer = answers.get(item.id)
        row = {
            "id": item.id,
            "text": item.text,
            "how": item.how,
            "contingency": item.contingency,
            "counts_at_gate": item.counts_at_gate,
            "answer": answer.answer if answer else "",
            "answered_by": answer.answered_by if answer else "",
            "answered": answer.answered if answer else "",
            "note": answer.note if answer else "",
        }
        rows.append(row | ({item.position[0]: item.position[1]} if item.position else {}))
    return rows
