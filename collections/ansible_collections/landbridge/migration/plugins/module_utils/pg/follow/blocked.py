# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which transaction a subscription cannot apply, told without either server's log.

A subscription that meets an error is disabled, and the error itself is in the subscriber's log,
which a managed service may not show. But the publisher still has the transaction: what its slot
sends can be looked at, from the position that the subscriber has applied. That position is the
superuser's to read; what refuses to skip an older one tells it all the same.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import NotConvergedError, PreconditionError
from ...waiting import Deadline, pauses, wait_for
from ..connection import translated
from ..text import ident, literal
from .link import Link
from .sides import Sides

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

SKIPS = 150000  # ALTER SUBSCRIPTION … SKIP, disable_on_error and the counters came with 15

COUNTERS = """\
SELECT to_jsonb(s) FROM pg_stat_subscription_stats s WHERE subname = %s"""

SKIP = "ALTER SUBSCRIPTION {name} SKIP (lsn = {lsn})"
LSN = re.compile(r"\b[0-9A-F]+/[0-9A-F]+\b")
BEGINNING = "0/1"
INVALID_PARAMETER = "22023"

# Of the pgoutput messages (Postgres, section 55.9) a B begins a transaction and names the end of
# its commit record, R describes a table. The slot is only looked at.
PEEK = """\
FROM pg_logical_slot_peek_binary_changes({slot}, NULL, {most}, 'proto_version', '1',
                                         'publication_names', {publication})"""
FIRST = """\
SELECT xid::text {peek}
 WHERE get_byte(data, 0) = 66 AND encode(substr(data, 2, 8), 'hex') >= {after} LIMIT 1"""
CHANGES = """\
SELECT substr(data, 1, {longest}) {peek}
 WHERE xid::text = {xid} OR get_byte(data, 0) = 82 LIMIT {shown}"""
MOST = 10_000
LONGEST = 2000
SHOWN = 200
SHOWN_ROWS = 5
SHOWN_VALUE = 80
FREE_S = 60.0

REPAIR = """\
Repair the target so that it fits (a row in the way, one that is missing, a constraint), and run\
 pg_follow again; or leave the transaction out with skip_lsn: {lsn}."""


class Row(NamedTuple):
    """A change: what is done to which table, and the columns that tell the row."""

    action: str
    table: str
    key: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Blocked:
    """What holds a subscription up.

    :param lsn: the finish position of the transaction, which names it to SKIP.
    :param rows: its first changes.
    :param counters: what the subscriber counted: errors, and from version 18 on each conflict.
    """

    subscription: str
    lsn: str | None = None
    rows: Sequence[Row] = ()
    counters: Mapping[str, int] = field(default_factory=dict)

    def evidence(self) -> dict[str, Any]:
        rows = [{**row._asdict(), "key": dict(row.key)} for row in self.rows]
        return {"subscription": self.subscription, "lsn": self.lsn, "rows": rows,
                "counters": dict(self.counters)}  # fmt: skip


def read(sides: Sides, link: Link) -> Blocked:
    """Return what is known of a disabled subscription's next transaction."""
    wait_for(  # for the publisher's end of it: a slot in use cannot be looked at
        sides.links,
        lambda states: not any(each.link == link and each.slot and each.slot.active
                               for each in states),
        what=f"the slot {link.slot} to be free",
        deadline=Deadline(FREE_S),
        last_seen=lambda _unused: "it is in use",
        between=pauses(0.05, 1.0),
    )  # fmt: skip
    with translated("target"):
        applied = applied_lsn(sides.target, link)
        counters = _counters(sides.target, link)
    with translated("source"):
        messages = _messages(sides.source, link, applied)
    lsn, rows = parse(messages)
    return Blocked(link.subscription, lsn, rows, counters)


def error(blocked: Blocked) -> NotConvergedError:
    """Return the error of a subscription that does not follow any more."""
    what = ""
    if blocked.rows:
        first = blocked.rows[0]
        key = ", ".join(f"{name} {value}" for name, value in first.key.items())
        what = f", which begins with {first.action} of {first.table} ({key})"
    of = f" the transaction that ends at {blocked.lsn}{what}" if blocked.lsn else " a transaction"
    return NotConvergedError(
        f"target: subscription {blocked.subscription} cannot apply{of}",
        hint=REPAIR.format(lsn=blocked.lsn or "the position that the target's log names"),
        result={"evidence": {"blocked": blocked.evidence()}},
    )


def skip(sides: Sides, link: Link, lsn: str) -> None:
    """Leave out the transaction that ends at ``lsn``, if it is the one that is next."""
    blocked = read(sides, link)
    if blocked.lsn != lsn:
        raise PreconditionError(
            f"target: {link.subscription} waits for the transaction that ends at {blocked.lsn},"
            f" not {lsn}",
            hint="Look at the rows of the one that is next before it is left out.",
        )
    statement = SKIP.format(name=ident(link.subscription), lsn=literal(lsn))
    with translated("target"):
        sides.target.execute(statement.encode())


def applied_lsn(target: Connection, link: Link) -> str:
    """Return the publisher's position up to which all is applied; the beginning if unknown."""
    if target.info.server_version < SKIPS:
        return BEGINNING
    statement = SKIP.format(name=ident(link.subscription), lsn=literal(BEGINNING))
    try:
        with target.transaction(force_rollback=True):
            target.execute(statement.encode())
    except psycopg.Error as exc:
        if exc.sqlstate != INVALID_PARAMETER:
            raise
        found = LSN.findall(exc.diag.message_primary or "")
        return next((each for each in found if each != BEGINNING), BEGINNING)
    return BEGINNING


def _counters(target: Connection, link: Link) -> dict[str, int]:
    if target.info.server_version < SKIPS:
        return {}
    row = target.execute(COUNTERS, [link.subscription]).fetchone()
    found = row[0] if row else {}
    return {name: count for name, count in found.items() if isinstance(count, int) and count}


def _messages(source: Connection, link: Link, after: str) -> list[bytes]:
    """Return the messages of the first transaction after a position, tables described first."""
    peek = PEEK.format(slot=literal(link.slot), publication=literal(link.publication), most=MOST)
    first = FIRST.format(peek=peek, after=literal(f"{number(after):016x}"))
    row = source.execute(first.encode()).fetchone()
    if row is None:
        return []
    changes = CHANGES.format(peek=peek, xid=literal(row[0]), longest=LONGEST, shown=SHOWN)
    return [bytes(data) for (data,) in source.execute(changes.encode())]


def number(lsn: str) -> int:
    """Return a position as a number."""
    high, _unused, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def text(lsn: int) -> str:
    """Return a position as Postgres writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def parse(messages: Iterable[bytes]) -> tuple[str | None, list[Row]]:
    """Return a transaction's finish position and its first changes; a pure function."""
    lsn = None
    tables: dict[int, tuple[str, list[tuple[str, bool]]]] = {}
    rows: list[Row] = []
    for message in messages:
        kind, reader = message[:1], _Reader(message[1:])
        if kind == b"B":
            lsn = text(reader.integer("q"))
        elif kind == b"R":
            oid, described = _table(reader)
            tables[oid] = described
        elif kind in ACTIONS and len(rows) < SHOWN_ROWS:
            rows.append(_row(kind, reader, tables))
    return lsn, rows


ACTIONS = {b"I": "INSERT", b"U": "UPDATE", b"D": "DELETE", b"T": "TRUNCATE"}


def _table(reader: _Reader) -> tuple[int, tuple[str, list[tuple[str, bool]]]]:
    oid = reader.integer("i")
    name = f"{reader.string() or 'pg_catalog'}.{reader.string()}"
    reader.integer("b")  # its replica identity
    columns = []
    for _unused in range(reader.integer("h")):
        of_key = bool(reader.integer("b"))
        columns.append((reader.string(), of_key))
        reader.integer("i")
        reader.integer("i")
    return oid, (name, columns)


def _row(
    kind: bytes, reader: _Reader, tables: Mapping[int, tuple[str, list[tuple[str, bool]]]]
) -> Row:
    if kind == b"T":
        reader.integer("i")
        reader.integer("b")
    name, columns = tables.get(reader.integer("i"), ("an unknown table", []))
    if kind == b"T":
        return Row(ACTIONS[kind], name, {})
    reader.integer("b")  # whether the old key, the old row or the new row comes first
    values = reader.values()
    told = dict(zip([column for column, _unused in columns], values, strict=False))
    key = {column: told.get(column) for column, of_key in columns if of_key} or told
    return Row(ACTIONS[kind], name, key)


class _Reader:
    """Reads a message's fields in order; one that was cut off ends early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def integer(self, form: str) -> int:
        size = struct.calcsize(f">{form}")
        piece = self._data[self._at : self._at + size].ljust(size, b"\0")
        self._at += size
        return int(struct.unpack(f">{form}", piece)[0])

    def string(self) -> str:
        end = self._data.find(b"\0", self._at)
        end = len(self._data) if end < 0 else end
        piece = self._data[self._at : end]
        self._at = end + 1
        return piece.decode(errors="replace")

    def values(self) -> list[str | None]:
        found: list[str | None] = []
        for _unused in range(self.integer("h")):
            if self._at >= len(self._data):
                break
            kind = chr(self.integer("b"))
            found.append(self._value() if kind in "tb" else None)
        return found

    def _value(self) -> str:
        size = self.integer("i")
        piece = self._data[self._at : self._at + size]
        self._at += size
        shown = piece.decode(errors="replace")
        return shown if len(shown) <= SHOWN_VALUE else f"{shown[: SHOWN_VALUE - 1]}…"
