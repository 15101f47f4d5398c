# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the journal holds, as values. Times are UTC ISO 8601 text with milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from .fingerprint import Requirement, fingerprint, sha256


class Place(NamedTuple):
    """Where a checkpoint is: a stage on a host of the inventory."""

    stage: str
    host: str

    def __str__(self) -> str:
        return f"{self.stage} on {self.host}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The record that a stage's proof was given."""

    stage: str
    host: str
    digest: str
    fingerprint: str
    inputs: dict[str, str]
    requires: list[Requirement]
    evidence: dict[str, Any]
    run_id: str
    started: str
    finished: str

    @property
    def place(self) -> Place:
        return Place(self.stage, self.host)

    @property
    def elapsed_s(self) -> float:
        return elapsed_s(self.started, self.finished)

    def shown(self) -> dict[str, Any]:
        """Return what results and reports show."""
        requires = [requirement._asdict() for requirement in self.requires]
        return {**asdict(self), "requires": requires, "elapsed_s": self.elapsed_s}


@dataclass(frozen=True, slots=True)
class Opening:
    """A stage that this run began and has not finished, with what it was begun with."""

    stage: str
    host: str
    inputs: dict[str, str]
    requires: list[Requirement]
    started: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to an item of the checklist.

    :param how: ``person``, ``sql``, ``http`` or ``command``.
    :param text: the item's text when it was answered; empty if unknown.
    """

    item: str
    answer: str
    how: str = "person"
    text: str = ""
    note: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    answered_by: str = ""
    answered: str = ""

    def says(self) -> tuple[Any, ...]:
        """Return what makes it another answer than the one before it."""
        return self.item, self.answer, self.how, self.text, self.note


@dataclass(frozen=True, slots=True)
class Decision:
    """A go or no-go, given to a digest of evidence.

    :param decision: ``go``, ``no-go``, or ``asked`` while nobody has said either.
    :param how: ``policy``, ``variable`` or ``terminal``.
    :param parts: the digest of each piece of evidence, by its name.
    """

    digest: str
    decision: str
    how: str
    parts: dict[str, str]
    decided_by: str
    decided: str


@dataclass(frozen=True, slots=True)
class Run:
    """One ansible-playbook process at work on one migration."""

    run_id: str
    username: str
    hostname: str
    pid: int
    process_started: str
    kind: str = "migration"


@dataclass(frozen=True, slots=True)
class State:
    """What a checkpoint is judged by.

    :param lease: ``mine``, ``lost`` (nobody has it now), ``none`` (this run never had it), or a
        sentence that says who holds it.
    """

    current: dict[Place, Checkpoint]
    opening: Opening | None = None
    lease: str = "mine"


class Journal(Protocol):
    """Where records are kept: the database, or until it exists a file."""

    present: bool

    def state(self, place: Place | None = None) -> State: ...
    def begin(self, opening: Opening) -> None: ...
    def record(self, checkpoint: Checkpoint) -> None: ...
    def clear(self, place: Place, reason: str) -> None: ...
    def answers(self) -> dict[str, Answer]: ...
    def answer(self, answers: list[Answer]) -> None: ...
    def decisions(self) -> list[Decision]: ...
    def decide(self, decision: Decision) -> None: ...
    def snapshot(self) -> dict[str, Any]: ...


def reach(opening: Opening, evidence: Mapping[str, Any], run_id: str, finished: str) -> Checkpoint:
    """Return the checkpoint of a stage whose proof was given.

    The run and the time are part of the digest: proof given again is another proof, so that what
    was built on the first becomes stale.
    """
    made = fingerprint(opening.inputs, opening.requires)
    digest = sha256([opening.stage, opening.host, made, evidence, run_id, finished])
    return Checkpoint(
        opening.stage,
        opening.host,
        digest,
        made,
        opening.inputs,
        opening.requires,
        dict(evidence),
        run_id,
        opening.started,
        finished,
    )


def utc(moment: datetime) -> str:
    """Return ``moment`` as UTC ISO 8601 with milliseconds."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def elapsed_s(started: str, finished: str) -> float:
    """Return the seconds between two times."""
    took = datetime.fromisoformat(finished) - datetime.fromisoformat(started)
    return round(took.total_seconds(), 3)
