# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is there of links: each database tells in one query, and both together give their state.

Nothing is remembered: names say which link an object belongs to, and which end of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .link import NAMED, Link, between, identify, parse

if TYPE_CHECKING:
    from psycopg import Connection

# Whole rows of the views: their columns differ between majors.
READ = r"""
SELECT jsonb_build_object(
  'publications', (
    SELECT coalesce(jsonb_agg(pubname), '[]') FROM pg_publication WHERE pubname ~ %(named)s),
  'slots', (
    SELECT coalesce(jsonb_agg(to_jsonb(s) || jsonb_build_object(
             'lag_bytes', pg_wal_lsn_diff(lsn, confirmed_flush_lsn),
             'retained_bytes', pg_wal_lsn_diff(lsn, restart_lsn))), '[]')
      FROM pg_replication_slots s,
           (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                        ELSE pg_current_wal_lsn() END) AS now (lsn)
     WHERE database = current_database() AND slot_name ~ %(named)s),
  'subscriptions', (
    SELECT coalesce(jsonb_agg(jsonb_build_object(
             'name', s.subname, 'enabled', subenabled, 'slot', subslotname,
             'pid', w.pid, 'received_lsn', w.received_lsn,
             'latest_end_time', w.latest_end_time)), '[]')
      FROM pg_subscription s
           JOIN pg_database d ON d.oid = subdbid
           LEFT JOIN pg_stat_subscription w
             ON w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL
     WHERE datname = current_database() AND s.subname ~ %(named)s),
  'roles', (
    SELECT coalesce(jsonb_agg(rolname), '[]') FROM pg_roles WHERE rolname ~ %(named)s))"""


@dataclass(frozen=True, slots=True)
class Slot:
    """A publisher's slot. ``lost``: the server has removed what it would have to send."""

    active: bool
    active_pid: int | None
    confirmed_flush_lsn: str | None
    lag_bytes: int
    retained_bytes: int
    lost: bool


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscriber's subscription. ``pid``: its worker's, None while none runs."""

    enabled: bool
    slot: str | None
    pid: int | None
    received_lsn: str | None
    latest_end_time: str | None


@dataclass(frozen=True, slots=True)
class Side:
    """What one database, and for roles its server, has of links, by name."""

    publications: frozenset[str] = frozenset()
    slots: Mapping[str, Slot] = field(default_factory=dict)
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)
    roles: frozenset[str] = frozenset()

    def names(self) -> set[str]:
        """Return the names of all that is there."""
        return {*self.publications, *self.slots, *self.subscriptions, *self.roles}


@dataclass(frozen=True, slots=True)
class LinkState:
    """One link in one epoch, as both its ends show it."""

    link: Link
    publication: bool
    slot: Slot | None
    subscription: Subscription | None
    role: bool

    @property
    def following(self) -> bool:
        """Whether all of it is there and changes come."""
        slot_serves = self.slot is not None and not self.slot.lost
        return self.publication and slot_serves and self.enabled

    @property
    def enabled(self) -> bool:
        return self.subscription is not None and self.subscription.enabled


def read_side(conn: Connection) -> Side:
    """Return what the connection's database has of any link, in one round trip."""
    row = conn.execute(READ, {"named": NAMED}).fetchone()
    return side_of(row[0] if row else {})


def side_of(found: Mapping[str, Any]) -> Side:
    """Return what READ told."""
    return Side(
        publications=frozenset(found.get("publications", ())),
        slots={each["slot_name"]: _slot(each) for each in found.get("slots", ())},
        subscriptions={
            each["name"]: _subscription(each) for each in found.get("subscriptions", ())
        },
        roles=frozenset(found.get("roles", ())),
    )


def _slot(row: Mapping[str, Any]) -> Slot:
    # wal_status came with 13, conflicting with 16, invalidation_reason with 17.
    gone = row.get("wal_status") == "lost" or row.get("invalidation_reason") is not None
    return Slot(
        active=row["active"],
        active_pid=row["active_pid"],
        confirmed_flush_lsn=row["confirmed_flush_lsn"],
        lag_bytes=int(row["lag_bytes"] or 0),
        retained_bytes=int(row["retained_bytes"] or 0),
        lost=gone or row.get("conflicting") is True,
    )


def _subscription(row: Mapping[str, Any]) -> Subscription:
    return Subscription(**{name: value for name, value in row.items() if name != "name"})


def states(digest: str, publisher: Side, subscriber: Side) -> list[LinkState]:
    """Return every epoch of a direction that either end has something of, oldest first.

    A pure function. A role alone counts, too: it has to be dropped.
    """
    publishers = {*publisher.publications, *publisher.slots, *publisher.roles}
    links = map(parse, {*publishers, *subscriber.subscriptions})
    ours = {link for link in links if link is not None and link.digest == digest}
    return [
        LinkState(
            link,
            link.publication in publisher.publications,
            publisher.slots.get(link.slot),
            subscriber.subscriptions.get(link.subscription),
            link.role in publisher.roles,
        )
        for link in sorted(ours, key=lambda link: link.epoch)
    ]


def read(publisher: Connection, subscriber: Connection) -> list[LinkState]:
    """Return every epoch of the direction from ``publisher`` to ``subscriber``, oldest first."""
    digest = between(identify(publisher), identify(subscriber)).digest
    return states(digest, read_side(publisher), read_side(subscriber))
