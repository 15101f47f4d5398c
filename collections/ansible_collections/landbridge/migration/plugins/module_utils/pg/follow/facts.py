# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What both ends of a link show while it follows, read in a fixed number of round trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ..catalog.catalog_sql import MACROS
from ..text import literal
from .facts_sql import ERRORS, ERRORS_SINCE, PUBLISHER, SUBSCRIBER
from .lag import Sample, position

if TYPE_CHECKING:
    from psycopg import Connection

# A transaction older than this holds a pause up.
LONG_S = 10


@dataclass(frozen=True, slots=True)
class Slot:
    """
    :param retained_bytes: what the server keeps for it.
    :param safe_bytes: how much more may be written before it is lost; None: no limit, or before 13.
    :param status: wal_status; None before 13.
    :param reason: why it is of no more use, where the server says so; else empty.
    """

    name: str
    active: bool
    retained_bytes: int
    applied: int
    safe_bytes: int | None = None
    status: str | None = None
    reason: str = ""


class Publication(NamedTuple):
    name: str
    changes: bool  # inserts, updates and deletes
    truncates: bool


class Noted(NamedTuple):
    """Something by the kind of thing it is."""

    kind: str
    object: str


@dataclass(frozen=True, slots=True)
class Publisher:
    """The publishing side.

    :param at_s: its clock.
    :param keep_bytes: max_slot_wal_keep_size; None: no limit.
    :param published: the tables of each publication, without our own.
    :param unpublished: tables in none.
    :param delaying: transactions that are long or prepared, in any of its databases.
    :param sessions: what sessions have that stays behind with them.
    """

    at_s: float
    written: int
    database_bytes: int = 0
    xid_age: int = 0
    keep_bytes: int | None = None
    slots: Mapping[str, Slot] = field(default_factory=dict)
    publications: Mapping[str, Publication] = field(default_factory=dict)
    published: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unpublished: Sequence[str] = ()
    delaying: Sequence[Noted] = ()
    near_end: Sequence[str] = ()
    sessions: Sequence[Noted] = ()

    def sample(self) -> Sample | None:
        """Return the positions of the slot that is farthest behind; None without a slot."""
        applied = [slot.applied for slot in self.slots.values()]
        return Sample(self.at_s, self.written, min(applied)) if applied else None


@dataclass(frozen=True, slots=True)
class Subscription:
    """
    :param pid: of its worker; None while none runs.
    :param errors: of applying, since its statistics begin; 0 before 15, which count none.
    :param blocked_by: processes that hold what its worker waits for.
    """

    name: str
    enabled: bool
    pid: int | None
    slot: str | None
    errors: int = 0
    blocked_by: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Subscriber:
    """The subscribing side.

    :param subscribed: the tables of each subscription, without our own.
    """

    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)
    subscribed: Mapping[str, frozenset[str]] = field(default_factory=dict)


def read_publisher(conn: Connection, digest: str) -> Publisher:
    """Return the publishing side of every epoch of a direction, in one round trip."""
    found = _read(conn, PUBLISHER, digest)
    ((at_s, lsn, database_bytes, xid_age, keep_bytes),) = found["moment"]
    slots = [_slot(row) for (row,) in found["slots"]]
    return Publisher(
        at_s, position(lsn), database_bytes, xid_age, keep_bytes,
        slots={slot.name: slot for slot in slots},
        publications={row[0]: Publication(*row) for row in found["publications"]},
        published=_grouped(found["published"]),
        unpublished=sorted(name for (name,) in found["unpublished"]),
        delaying=[Noted(*row) for row in found["delaying"]],
        near_end=sorted(name for _code, name in found["near_end"]),
        sessions=[Noted(*row) for row in found["sessions"]],
    )  # fmt: skip


def read_subscriber(conn: Connection, digest: str) -> Subscriber:
    """Return the subscribing side of every epoch of a direction, in one round trip."""
    found = _read(conn, SUBSCRIBER, digest)
    made = [
        Subscription(name, enabled, pid, slot, errors, tuple(blocked_by or ()))
        for name, enabled, pid, slot, errors, blocked_by in found["subscriptions"]
    ]
    subscriptions = {each.name: each for each in made}
    return Subscriber(subscriptions, _grouped(found["subscribed"]))


def _read(
    conn: Connection, queries: Mapping[str, str], digest: str
) -> dict[str, list[tuple[Any, ...]]]:
    counted = conn.info.server_version >= ERRORS_SINCE
    named = literal(f"^landbridge_{digest}_[1-9][0-9]*$")
    words = {**MACROS, "named": named, "long_s": LONG_S, "errors": ERRORS if counted else "0"}
    statements = ";\n".join(query.format_map(words) for query in queries.values())
    cursor = conn.execute(statements.encode())
    found = {}
    for name in queries:
        found[name] = cursor.fetchall()
        cursor.nextset()
    return found


def _slot(row: Mapping[str, Any]) -> Slot:
    lost = row.get("wal_status") == "lost"
    reason = row.get("invalidation_reason") or ("wal_removed" if lost else "")
    if not reason and row.get("conflicting"):
        reason = "conflicting"
    return Slot(
        name=row["slot_name"],
        active=row["active"],
        retained_bytes=int(row["retained_bytes"] or 0),
        applied=position(row["applied_lsn"] or "0/0"),
        safe_bytes=row.get("safe_wal_size"),
        status=row.get("wal_status"),
        reason=reason,
    )


def _grouped(rows: Sequence[tuple[Any, ...]]) -> dict[str, frozenset[str]]:
    names = {name for name, _table in rows}
    return {name: frozenset(table for one, table in rows if one == name) for name in names}
