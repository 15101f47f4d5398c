# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps a database from being followed, or from coming back, with its remedy. Pure.

Forward, the source publishes and the target subscribes; for the way back the sides are exchanged,
where the source's major lets a role without superuser subscribe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..finding import Finding, Severity
from ..follow.link import between, parse
from ..follow.reach import DENIED, NO_PASSWORD, UNREACHABLE, Attempt
from .audit_facts import Facts
from .live_facts import Room

# CREATE SUBSCRIPTION: a superuser's, or since 16 pg_create_subscription's.
SUBSCRIBERS_SINCE = 160000

WINDOW = "or choose landbridge_mode: window"

# How a provider is known, and the parameter that gives logical WAL there.
LOGICAL: Mapping[str, str] = {
    "rds_superuser": "rds.logical_replication: 1",
    "cloudsqlsuperuser": "cloudsql.logical_decoding: on",
}
# … and how its administrator gets the right to replicate.
REPLICATION: Mapping[str, str] = {"rds_superuser": "GRANT rds_replication TO"}

# 2^31 stops a server; a slot holds back the cleaning of the catalogs.
OLD_XIDS = 1_200_000_000


@dataclass(frozen=True, slots=True)
class Sides:
    """Both servers.

    :param databases: how many are followed between these servers at the same time.
    :param forward: the target's attempt to connect to the source; None if not tried.
    :param back: the source's attempt to connect to the target.
    """

    source: Facts
    target: Facts | None
    databases: int = 1
    forward: Attempt | None = None
    back: Attempt | None = None

    @property
    def way_back(self) -> bool:
        """Tell if the source may subscribe to the target after the crossing."""
        return self.source.version >= SUBSCRIBERS_SINCE or self.source.server.superuser


def findings(sides: Sides) -> Iterator[Finding]:
    """Return everything worth telling before a database is followed."""
    if room := sides.source.room:
        yield from _publisher("source", sides.source, room, sides.databases)
        yield from _slots_life(room, sides.source)
    yield from _way_back(sides)
    if sides.target and (room := sides.target.room):
        yield from _subscriber("target", sides.target, room, sides.databases)
        yield from _forward(sides)
        if sides.way_back:
            yield from _publisher("target", sides.target, room, sides.databases)
    if sides.way_back and (room := sides.source.room):
        yield from _subscriber("source", sides.source, room, sides.databases)
    yield from _names_taken(sides)


def _publisher(side: str, facts: Facts, room: Room, databases: int) -> Iterator[Finding]:
    if room.wal_level != "logical":
        parameter = _of_provider(LOGICAL, facts, "wal_level: logical")
        yield Finding(
            "wal_level",
            "blocker",
            side,
            f"{side}: wal_level is {room.wal_level}; following needs logical",
            f"{_set(side, parameter)}, {WINDOW}.",
        )
    if not room.may_replicate:
        user = facts.server.user
        right = _of_provider(REPLICATION, facts, "")
        yield Finding(
            "may_not_replicate",
            "blocker",
            f"role {user}",
            f"{side}: {user} has no right to replicate",
            f'Run {right} "{user}".' if right else f'Run ALTER ROLE "{user}" REPLICATION.',
        )
    yield from _short(
        "no_free_slot", side, "max_replication_slots", room.max_slots, room.slots, databases,
        "replication slots",
    )  # fmt: skip
    yield from _short(
        "no_free_sender", side, "max_wal_senders", room.max_senders, room.senders, databases,
        "WAL senders",
    )  # fmt: skip


def _subscriber(side: str, facts: Facts, room: Room, databases: int) -> Iterator[Finding]:
    yield from _short(
        "no_free_worker", side, "max_logical_replication_workers", room.max_apply_workers,
        room.subscriptions, databases, "apply workers",
    )  # fmt: skip
    # The launcher is one of them.
    yield from _short(
        "no_free_worker", side, "max_worker_processes", room.max_worker_processes,
        room.subscriptions + 1, databases, "background workers",
    )  # fmt: skip
    name = "max_active_replication_origins" if facts.version >= 180000 else "max_replication_slots"
    yield from _short(
        "no_free_origin", side, name, room.max_origins, room.subscriptions, databases,
        "replication origins",
    )  # fmt: skip


def _short(
    code: str, side: str, parameter: str, most: int, taken: int, needed: int, what: str
) -> Iterator[Finding]:
    if taken + needed > most:
        yield Finding(
            code,
            "blocker",
            side,
            f"{side}: {taken} of {most} {what} are taken and {needed}"
            f" {'is' if needed == 1 else 'are'} needed ({parameter})",
            f"{_set(side, f'{parameter}: {taken + needed + 2}')}, or drop what is not used.",
        )


def _set(side: str, parameter: str) -> str:
    """Return how a parameter that needs a restart is set; the source's server is not ours."""
    if side == "target":
        return (
            f"Add {parameter} to the server's postgres_parameters in the inventory, with"
            " postgres_restart_allowed: true (it takes effect with a restart)"
        )
    return f"Set {parameter} in the server's parameters at its provider, and restart it"


def _slots_life(room: Room, source: Facts) -> Iterator[Finding]:
    if room.slot_keep_bytes is not None:
        yield Finding(
            "slot_limit",
            "warning",
            "source",
            f"source: a slot that is {room.slot_keep_bytes >> 20} MB behind is lost"
            f" (max_slot_wal_keep_size); the database has {source.server.size_bytes >> 20} MB",
            "Raise it to more than what is written while the database is copied, or to -1 where"
            " the disk has room for it.",
        )
    if room.idle_slot_timeout_s:
        yield Finding(
            "slot_timeout",
            "warning",
            "source",
            f"source: a slot nobody reads for {room.idle_slot_timeout_s} s is lost"
            " (idle_replication_slot_timeout), and nobody reads it while the database is copied",
            "Set idle_replication_slot_timeout to 0 for the migration.",
        )
    if room.xid_age > OLD_XIDS:
        yield Finding(
            "xid_age",
            "warning",
            source.server.dbname,
            f"source: the oldest row version is {room.xid_age} transactions old, and a slot keeps"
            " the catalogs from being cleaned",
            "Run VACUUM FREEZE before the database is followed.",
        )


def _forward(sides: Sides) -> Iterator[Finding]:
    target = sides.target
    tried = sides.forward
    if tried is None or target is None:
        yield Finding(
            "reach_not_tried",
            "note",
            "target",
            "target: whether it reaches the source was not tried, for want of a database in which"
            " we may create",
            "The postgres stage makes one: run preflight again after it.",
        )
    elif tried.sqlstate == DENIED:
        yield _may_not_subscribe("target", target, "blocker", f"Choose {WINDOW[10:]}.")
    elif tried.sqlstate:
        yield _unreached("target_cannot_reach", "target", "source", target, tried, "blocker")


def _way_back(sides: Sides) -> Iterator[Finding]:
    source, tried = sides.source, sides.back
    instead = (
        "Nothing need be done for the crossing; a way back takes a window, in which the database"
        " is copied back."
    )
    if not sides.way_back:
        yield Finding(
            "no_way_back",
            "warning",
            "source",
            f"source: Postgres {source.version // 10000} lets only a superuser subscribe, so"
            " writes to the target cannot flow back by themselves",
            instead,
        )
    elif tried and tried.sqlstate == DENIED:
        yield _may_not_subscribe("source", source, "warning", instead)
    elif tried and tried.sqlstate:
        yield _unreached("source_cannot_reach", "source", "target", source, tried, "warning")


def _may_not_subscribe(side: str, facts: Facts, severity: Severity, instead: str) -> Finding:
    user = facts.server.user
    if facts.version < SUBSCRIBERS_SINCE:
        message = f"{side}: before Postgres 16 only a superuser may create subscriptions"
        remedy = instead
    else:
        message = f"{side}: {user} may not create subscriptions"
        remedy = f'Run GRANT pg_create_subscription TO "{user}". Otherwise: {instead}'
    return Finding("may_not_subscribe", severity, f"role {user}", message, remedy)


def _unreached(
    code: str, side: str, other: str, facts: Facts, tried: Attempt, severity: Severity
) -> Finding:
    remedies = {
        UNREACHABLE: f"Let the {side} server through the {other}'s firewall, and check that the"
        f" address is one that the {side} can use: it may know the {other} by another name.",
        NO_PASSWORD: f"Have the {other} ask this role for a password: a subscription without"
        " superuser must use one.",
    }
    remedy = remedies.get(tried.sqlstate or "", "Try CREATE SUBSCRIPTION there yourself.")
    return Finding(
        code,
        severity,
        tried.address,
        f"{side}: the server cannot connect to the {other} at {tried.address} as"
        f" {facts.server.user} had it try: {tried.message}",
        remedy,
    )


def _names_taken(sides: Sides) -> Iterator[Finding]:
    """Tell of names that the links of these two databases will have, and something else has."""
    source, target = sides.source, sides.target
    if target is None or not target.database_exists:
        return
    pair = _identity(source), _identity(target)
    digests = {between(*pair).digest, between(pair[1], pair[0]).digest}
    for side, facts in (("source", source), ("target", target)):
        for strange in facts.room.strange if facts.room else ():
            link = parse(strange.partition(" ")[2])
            if link and link.digest in digests:
                yield Finding(
                    "name_taken",
                    "blocker",
                    strange,
                    f"{side}: there is a {strange} already, which is not ours",
                    "Drop it, or have its owner rename it.",
                )


def _identity(facts: Facts) -> str:
    """Return what link.identify() tells of a database."""
    oid = facts.server.oid
    return f"{facts.identifier}/{oid}" if facts.identifier else f"{oid}/{facts.server.dbname}"


def _of_provider(words: Mapping[str, str], facts: Facts, otherwise: str) -> str:
    return next((word for role, word in words.items() if role in facts.roles), otherwise)
