# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Follow a source that stays open: copy it, then apply what is written to it since.

Each table is published before its slot is made and copied under that slot's snapshot, so every
write is either in the copy or comes after it. What is there is found by looking, never remembered:
a run that was killed anywhere is finished by the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...waiting import Deadline
from .. import finding
from ..clone.clone import Copied, clone
from ..clone.findings import Finding
from ..clone.progress import Progress
from ..clone.request import exported
from ..connection import translated
from . import blocked, identity, keys, preconditions, removal, settling, steps
from .epoch import Epoch
from .links import Links, names_of
from .request import Request
from .settling import Lag
from .sides import Found, Sides, opened

# How often the keys between epochs are tried, each time the links are level.
TRIES = 5
LEVEL_S = 10.0


@dataclass(slots=True)
class Followed:
    """What a run did, or in check mode would do.

    :param before: what was there, as a diff shows it; ``after`` likewise.
    """

    changed: bool
    state: steps.State
    before: str
    after: str
    found: Found
    copied: Copied | None = None
    lag: Lag | None = None
    findings: list[Mapping[str, Any]] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Return the figures of the last progress event."""
        return self.copied.figures() if self.copied else {}


def follow(request: Request, progress: Progress) -> Followed:
    """Make the target a copy of the source that stays one. Raise LandbridgeError if it cannot."""
    with opened(request.source, request.target, alone=not request.check_mode) as sides:
        links, found = Links(sides, request), sides.find()
        plan = steps.plan(found)
        changes = preconditions.check(sides, request) if plan.copy or plan.subscribe else []
        if request.check_mode:
            return _predicted(request, progress, found, plan, changes)
        if request.skip_lsn:
            blocked.skip(sides, [state.link for state in found.links], request.skip_lsn)
        epoch = Epoch(links, progress)
        copied = clone(request.copy(epoch.snapshot, epoch), progress)
        made = _converge(links)
        lag = settling.settle(sides, request, progress)
        pending, validated = _validate(sides)
        now = sides.find()
        before, after = steps.shown(found), steps.shown(now)
        findings = _dicts([*copied.findings, *pending], links.findings)
        changed = copied.changed or made or validated or before != after
        return Followed(changed, steps.state(now), before, after, now, copied, lag, findings)


def stop(request: Request) -> Followed:
    """Let no more changes come; the slots keep them."""
    with opened(request.source, request.target, alone=not request.check_mode) as sides:
        links, found = Links(sides, request), sides.find()
        due = [state for state in found.links if state.enabled]
        if due and not request.check_mode:
            links.stop()
        before = steps.shown(found)
        now = found if request.check_mode else sides.find()
        after = before.replace(" enabled", " disabled").replace("following", "stopped")
        return Followed(bool(due), steps.state(now), before, after, now)


def remove(request: Request) -> Followed:
    """Remove everything of ours on both sides but the copied rows."""
    with opened(request.source, request.target, alone=not request.check_mode) as sides:
        links, found = Links(sides, request), sides.find()
        words = removal.left(found, sides)
        if words and not request.check_mode:
            removal.remove(links, found)
        before = steps.shown(found) + "".join(f"{word}\n" for word in words)
        now = found if request.check_mode else sides.find()
        return Followed(bool(words), "absent", before, "state: absent\n", now)


def _predicted(
    request: Request,
    progress: Progress,
    found: Found,
    plan: steps.Plan,
    changes: list[identity.Change],
) -> Followed:
    """Return what a run would do."""
    copied = clone(request.copy(exported, _Unheard()), progress)
    before = steps.shown(found)
    after = "".join(f"{line}\n" for line in ["state: following", *(c.line() for c in changes)])
    findings = _dicts(copied.findings, [])
    return Followed(
        plan.changes, "following", before, after if plan.changes else before, found, copied,
        None, findings,
    )  # fmt: skip


def _dicts(
    of_copy: Sequence[Finding], of_links: Sequence[finding.Finding]
) -> list[Mapping[str, Any]]:
    return [*(each._asdict() for each in of_copy), *(each._asdict() for each in of_links)]


class _Unheard:
    """A copy in check mode has nothing to tell."""

    def quiet(self) -> None: ...

    def done(self, part_id: str) -> None: ...


def _converge(links: Links) -> bool:
    """Subscribe to every epoch and enable what is disabled; return whether something was."""
    sides = links.sides
    plan = steps.plan(sides.find())
    if plan.subscribe:
        with translated("source"):
            named = [(str(table.oid), table.name) for table in identity.read(sides.source)]
            memory = identity.recall(sides.source)
        with translated("target"):
            identity.remember(sides.target, memory)
        whole = sides.find().whole
        for number in plan.subscribe:
            links.subscribe(number, names_of(named, whole[number]))
    links.enable(plan.enable)
    return plan.changes


def _validate(sides: Sides) -> tuple[list[Finding], bool]:
    """Validate the keys between epochs; return those that are left, and whether one was."""
    with translated("target"):
        due = keys.left(sides.target)
    findings: list[Finding] = []
    for _unused in range(TRIES if due else 0):
        every = [state.link for state in sides.links()]
        settling.beat(sides, every, Deadline(LEVEL_S))
        with translated("target"):
            findings = keys.validate(sides.target, crossed=False)
        if not findings:
            break
    return findings, due > len(findings)
