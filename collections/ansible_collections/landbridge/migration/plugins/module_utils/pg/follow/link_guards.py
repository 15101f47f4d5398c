# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What endangers a link's own objects: its slot, its subscription, its publication. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ..audit.audit_hazards import several
from ..finding import Finding, Severity
from .facts import Slot, Subscription
from .watched import AGAIN, MB, Watched, blocker

# Shares of what a slot may keep: a person is told, then the gate closes.
TOLD, CLOSED = 0.5, 0.8

# Without a limit or a figure for the disk: more than the database itself is worth a word.
UNUSUAL_BYTES = 1 << 30


def findings(watched: Watched) -> Iterator[Finding]:
    """Return what is wrong with any epoch of the direction."""
    publisher, subscriber = watched.publisher, watched.subscriber
    side, other = watched.sides
    for name in sorted(watched.names):
        slot, subscription = publisher.slots.get(name), subscriber.subscriptions.get(name)
        if slot is None:
            yield blocker(
                "slot_missing",
                name,
                f"{side}: the slot {name} is not there; a server that took over for another has"
                " none of its slots before Postgres 17",
                AGAIN,
            )
        else:
            yield from _slot(watched, slot)
        if subscription is None:
            yield blocker(
                "subscription_missing", name, f"{other}: the subscription {name} is not there",
                AGAIN,
            )  # fmt: skip
        else:
            yield from _subscription(watched, subscription)
        yield from _publication(watched, name)


def _slot(watched: Watched, slot: Slot) -> Iterator[Finding]:
    side = watched.sides[0]
    if slot.reason:
        yield blocker(
            "slot_lost",
            slot.name,
            f"{side}: the slot {slot.name} is of no more use ({slot.reason})",
            "Raise max_slot_wal_keep_size if that was its end. " + AGAIN,
        )
        return
    kept = slot.retained_bytes
    most, what = _room(watched, slot)
    if most is None:
        if kept > max(UNUSUAL_BYTES, watched.publisher.database_bytes):
            yield _growth(side, slot, "warning", "more than the database's own size")
    elif kept > TOLD * most or slot.status == "unreserved":
        closed = kept > CLOSED * most or slot.status == "unreserved"
        yield _growth(side, slot, "blocker" if closed else "warning", what)


def _room(watched: Watched, slot: Slot) -> tuple[int | None, str]:
    """Return how much a slot may keep, and in words."""
    limits = []
    if watched.publisher.keep_bytes is not None:
        keep = watched.publisher.keep_bytes
        limits.append((keep, f"of the {keep // MB} MB that max_slot_wal_keep_size allows"))
    if (free := watched.limits.disk_free_bytes) is not None:
        limits.append((free + slot.retained_bytes, f"and the disk has {free // MB} MB left"))
    return min(limits, default=(None, ""))


def _growth(side: str, slot: Slot, severity: Severity, what: str) -> Finding:
    return Finding(
        "slot_growth",
        severity,
        slot.name,
        f"{side}: the slot {slot.name} keeps {slot.retained_bytes // MB} MB of WAL, {what}",
        "See why the subscriber does not keep up. A full disk stops the server: before that, let"
        " pg_follow drop the slot (state: absent) and copy again.",
    )


def _subscription(watched: Watched, subscription: Subscription) -> Iterator[Finding]:
    name, other = subscription.name, watched.sides[1]
    if name in watched.conflicts:
        yield _apply_error(watched, name)
    elif not subscription.enabled:
        if subscription.errors:
            yield _apply_error(watched, name)
        else:
            yield blocker(
                "stopped", name, f"{other}: the subscription {name} is disabled",
                "Run dataxfer again: it is enabled.",
            )  # fmt: skip
    elif subscription.blocked_by:
        yield blocker(
            "apply_blocked",
            name,
            f"{other}: {name} waits for a lock of process {several(subscription.blocked_by)}",
            "End that session, or wait until its transaction is over.",
        )
    elif subscription.pid is None or not _slot_active(watched, name):
        errors = f", after {subscription.errors} errors" if subscription.errors else ""
        yield blocker(
            "no_worker",
            name,
            f"{other}: no worker applies for {name}{errors}: it may not reach the"
            f" {watched.sides[0]}, or max_logical_replication_workers are taken",
            "Look again in some seconds; then try pg_audit in mode live, which tells which it is.",
        )


def _apply_error(watched: Watched, name: str) -> Finding:
    known = watched.conflicts.get(name)
    lsn = known.final_lsn if known else "the position that is in the server's log"
    return blocker(
        "apply_error",
        name,
        f"{watched.sides[1]}: the subscription {name} cannot apply a change: "
        + (str(known) if known else "which one is in the server's log alone"),
        "Correct the row on the subscriber and run dataxfer again; or leave the whole transaction"
        f" out (pg_follow with skip_lsn: {lsn}), and have pg_verify repair what it changed.",
    )


def _slot_active(watched: Watched, name: str) -> bool:
    slot = watched.publisher.slots.get(name)
    return slot is None or slot.active  # a slot that is missing is told as such


def _publication(watched: Watched, name: str) -> Iterator[Finding]:
    side, other = watched.sides
    publication = watched.publisher.publications.get(name)
    if publication is None:
        yield blocker(
            "publication_missing",
            name,
            f"{side}: the publication {name} is not there: nothing of it arrives any more",
            AGAIN,
        )
        return
    missing = [
        word
        for word, there in (("changes", publication.changes), ("TRUNCATE", publication.truncates))
        if not there
    ]
    if missing:
        yield blocker(
            "not_carried",
            name,
            f"{side}: the publication {name} leaves out {' and '.join(missing)}",
            f"Run ALTER PUBLICATION {name} SET (publish = 'insert, update, delete, truncate'), then"
            " dataxfer with pg_verify's repair for what was left out.",
        )
    there = watched.subscriber.subscribed.get(name, frozenset())
    ignored = watched.publisher.published.get(name, frozenset()) - there
    if ignored and name in watched.subscriber.subscriptions:
        yield blocker(
            "not_subscribed",
            name,
            f"{other}: {name} does not know of {several(ignored)}, which it publishes",
            AGAIN,
        )
