# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Looking at a direction that is followed: how far it is, and what stands in a crossing's way.

Changes nothing, on either side. The positions are read twice, a moment apart, which is what a
trend is told by; the catalogs are read meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...waiting import Deadline
from ..catalog import catalog, catalog_diff
from ..catalog.catalog_diff import RoleMap
from ..connection import connect, translated
from ..finding import Finding
from . import conflict, facts, fingerprint
from .conflict import Conflict
from .facts import Subscriber
from .guards import guards
from .lag import Lag, lag
from .link import between, identify, parse
from .watched import MB, Limits, Watched

if TYPE_CHECKING:
    from psycopg import Connection

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Direction:
    """From which side to which.

    :param publisher: server dict, as is ``subscriber``.
    :param sides: what they are called in messages.
    :param role_map: the subscriber's names of the publisher's roles.
    """

    publisher: Mapping[str, Any]
    subscriber: Mapping[str, Any]
    sides: tuple[str, str] = ("source", "target")
    role_map: RoleMap | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    watched: Watched
    guards: Sequence[Finding]

    @property
    def blockers(self) -> list[Finding]:
        return [each for each in self.guards if each.severity == "blocker"]

    def links(self) -> list[dict[str, Any]]:
        """Return each epoch's state, oldest first."""
        ordered = sorted(self.watched.names, key=_epoch)
        return [_link(name, self.watched) for name in ordered]

    def figures(self) -> dict[str, Any]:
        """Return the lag and what the slots keep."""
        known = self.watched.lag or Lag(0, None, "steady", None)
        slots = self.watched.publisher.slots.values()
        return {
            "lag_bytes": known.bytes,
            "lag_s": known.seconds,
            "trend": known.trend,
            "eta_s": known.eta_s,
            "slot_bytes": max((slot.retained_bytes for slot in slots), default=0),
        }

    def summary(self) -> str:
        """Return it all in a sentence."""
        links, known = self.links(), self.watched.lag
        if not links or known is None:
            return "nothing follows"
        states = ", ".join(dict.fromkeys(link["state"] for link in links))
        behind = f"{known.bytes / MB:.1f} MB"
        if known.seconds is not None:
            behind += f" and {known.seconds:.1f} s"
        to_go = f", about {known.eta_s:.0f} s to go" if known.trend == "falling" else ""
        slot_mb = self.figures()["slot_bytes"] / MB
        count = len(self.blockers)
        gate = f"{count} in the gate's way" if count else "nothing is in the gate's way"
        return (
            f"{states}; {behind} behind, {known.trend}{to_go}; the slot keeps {slot_mb:.0f} MB;"
            f" {gate}"
        )

    def rows(self) -> list[dict[str, str]]:
        return [each._asdict() for each in self.guards[:SHOWN]]


def _epoch(name: str) -> int:
    found = parse(name)
    return found.epoch if found else 0


def _link(name: str, watched: Watched) -> dict[str, Any]:
    slot = watched.publisher.slots.get(name)
    subscription = watched.subscriber.subscriptions.get(name)
    return {
        "name": name,
        "epoch": _epoch(name),
        "state": _state(name, watched),
        "lag_bytes": max(0, watched.publisher.written - slot.applied) if slot else 0,
        "slot_bytes": slot.retained_bytes if slot else 0,
        "errors": subscription.errors if subscription else 0,
    }


def _state(name: str, watched: Watched) -> str:
    """Return what RETURN of pg_follow_info tells of a link's state."""
    slot = watched.publisher.slots.get(name)
    subscription = watched.subscriber.subscriptions.get(name)
    published = name in watched.publisher.publications
    if slot is None or slot.reason or subscription is None or not published:
        return "broken"
    if not subscription.enabled:
        return "stopped"
    if name in watched.conflicts:
        return "blocked"
    return "following" if subscription.pid and slot.active else "waiting"


def watch(direction: Direction, limits: Limits, watch_s: float) -> Seen:
    """Return what both sides show, the positions ``watch_s`` seconds apart."""
    one, other = direction.sides
    with (
        connect(one, direction.publisher) as publisher,
        connect(other, direction.subscriber) as subscriber,
    ):
        watched = read(direction, publisher, subscriber, limits, Deadline(watch_s))
    return Seen(watched, guards(watched))


def read(
    direction: Direction,
    publisher: Connection,
    subscriber: Connection,
    limits: Limits,
    deadline: Deadline,
) -> Watched:
    """Return everything that guards judge; the last positions are read at the deadline."""
    one, other = direction.sides
    with translated(one):
        me = identify(publisher)
    with translated(other):
        digest = between(me, identify(subscriber)).digest
        before = fingerprint.recall(subscriber, digest)
    with translated(one):
        first = facts.read_publisher(publisher, digest)
    ddl, touched = _changes(direction, publisher, subscriber, before)
    deadline.pause(deadline.left_s)
    with translated(one):
        last = facts.read_publisher(publisher, digest)
    with translated(other):
        there = facts.read_subscriber(subscriber, digest)
    samples = [each for each in (first.sample(), last.sample()) if each]
    return Watched(
        last,
        there,
        lag(samples) if samples else None,
        direction.sides,
        ddl,
        touched,
        _conflicts(publisher, subscriber, there),
        limits,
    )


def _changes(
    direction: Direction,
    publisher: Connection,
    subscriber: Connection,
    before: fingerprint.Fingerprint | None,
) -> tuple[list[str] | None, dict[str, int]]:
    """Return what was defined anew since ``before``, and what was written to beside, with sizes."""
    if before is None:
        return None, {}
    one, other = direction.sides
    with translated(one):
        here = catalog.read(publisher)
        touched = {name: (count, size) for name, count, size in fingerprint.read_touched(publisher)}
    now = fingerprint.of(here, {name: count for name, (count, _size) in touched.items()})
    sizes = {name: touched[name][1] for name in fingerprint.touched_since(before, now)}
    changes = fingerprint.changed(before, now)
    if changes:  # only then is it worth the other side's catalog
        with translated(other):
            there = catalog.read(subscriber)
            views = catalog_diff.views_to_redefine(here, there)
            redefined = catalog_diff.redefine(subscriber, views)
        role_map = direction.role_map or {}
        differences = catalog_diff.diff(here, there, role_map, redefined)
        changes = fingerprint.remaining(changes, differences)
    return fingerprint.words(changes), sizes


def _conflicts(
    publisher: Connection, subscriber: Connection, there: Subscriber
) -> dict[str, Conflict]:
    idle = [each for each in there.subscriptions.values() if each.pid is None]
    found = {each.name: conflict.find(publisher, subscriber, each.name) for each in idle}
    return {name: known for name, known in found.items() if known}
