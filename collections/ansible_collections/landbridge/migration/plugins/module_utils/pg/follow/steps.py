# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What comes next, from what is there. Pure functions.

Nothing is remembered of what a run did: tables whose rows are in say by their epoch which link
they need, and links say by their objects how far they are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...errors import PreconditionError
from .link import Link
from .observed import LinkState
from .sides import Found

State = Literal["absent", "copying", "stopped", "following"]

START_OVER = (
    "Run pg_follow with state absent, drop the target database, and copy anew with"
    " -e landbridge_redo=dataxfer."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What makes a source followed: a copy, then links to make and to enable."""

    copy: bool
    subscribe: list[int]
    enable: list[Link]

    @property
    def changes(self) -> bool:
        return bool(self.copy or self.subscribe or self.enable)


def plan(found: Found) -> Plan:
    """Return what is to be done. Raise PreconditionError if it is too late for following."""
    check(found)
    by_epoch = {number: found.link(number) for number in found.whole}
    present = [state for state in by_epoch.values() if state is not None]
    return Plan(
        copy=found.record is None or not found.record.finished,
        subscribe=[
            number for number, state in by_epoch.items()
            if state is None or state.subscription is None
        ],
        enable=[each.link for each in present if each.subscription and not each.enabled],
    )  # fmt: skip


def check(found: Found) -> None:
    """Raise PreconditionError if writes of the source are lost to the target, or have crossed."""
    if any(state.subscription for state in found.back) and not found.links:
        raise PreconditionError(
            "source: it follows the target, to which this database has crossed",
            hint="Cross back with pg_cutover if the source is to be written to again.",
        )
    for number in found.whole:
        if what := _lost(found.link(number)):
            raise PreconditionError(
                f"source: {what} that brings what was written since the copy of epoch {number}",
                hint=START_OVER,
            )


def _lost(state: LinkState | None) -> str:
    """Return what of a link cannot be made again."""
    if state is None or state.slot is None:
        return "there is no slot any more"
    if state.slot.lost:
        return f"the slot {state.link.slot} has lost the log"
    if not state.publication:
        return f"there is no publication {state.link.publication} any more"
    return ""


def leftovers(found: Found) -> list[Link]:
    """Return the links of epochs that have no table: their snapshot was lost too early."""
    return [state.link for state in found.links if state.link.epoch not in found.whole]


def state(found: Found) -> State:
    """Return in one word what is there."""
    if found.record is None or not found.record.live:
        return "copying" if found.links else "absent"
    if not found.record.finished or plan_subscribes(found):
        return "copying"
    return "following" if all(each.enabled for each in found.links) else "stopped"


def plan_subscribes(found: Found) -> bool:
    """Tell if an epoch that has tables is not subscribed to."""
    links = [found.link(number) for number in found.whole]
    return any(each is None or each.subscription is None for each in links)


def shown(found: Found) -> str:
    """Return what is there as a diff shows it, line by line."""
    lines = [f"state: {state(found)}"]
    for each in found.links:
        tables = len(found.whole.get(each.link.epoch, ()))
        enabled = "enabled" if each.enabled else "disabled" if each.subscription else "none"
        lines.append(f"{each.link.name}: {tables} tables, subscription {enabled}")
    return "\n".join([*lines, ""])
