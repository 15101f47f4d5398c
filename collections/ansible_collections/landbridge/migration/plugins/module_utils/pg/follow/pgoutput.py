# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The messages of the pgoutput plugin, protocol version 1. Pure: bytes in, changes out.

PostgreSQL documentation, "Logical Replication Message Formats". Only text values are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

IDENTIFYING = 1  # a column's flag: part of the replica identity


class Column(NamedTuple):
    name: str
    identifying: bool


class Relation(NamedTuple):
    nspname: str
    relname: str
    columns: Sequence[Column]

    def __str__(self) -> str:
        return f"{self.nspname}.{self.relname}"


Row = Mapping[str, "str | None"]


@dataclass(frozen=True, slots=True)
class Change:
    """One row's change.

    :param kind: ``INSERT``, ``UPDATE`` or ``DELETE``.
    :param key: identifying columns of the row as it was.
    :param row: the new values, without those that did not change and were not sent.
    """

    kind: str
    relation: Relation
    key: Row
    row: Row = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Transaction:
    """:param final_lsn: what ALTER SUBSCRIPTION … SKIP knows it by."""

    final_lsn: str
    changes: Sequence[Change]


class _Reader:
    def __init__(self, message: bytes) -> None:
        self._message = message
        self._at = 0

    def integer(self, width: int) -> int:
        return int.from_bytes(self.taken(width), "big")

    def letter(self) -> str:
        return self.taken(1).decode()

    def text(self) -> str:
        end = self._message.index(b"\0", self._at)
        return self.taken(end + 1 - self._at)[:-1].decode(errors="replace")

    def taken(self, width: int) -> bytes:
        found = self._message[self._at : self._at + width]
        self._at += width
        return found

    def row(self, columns: Sequence[Column]) -> dict[str, str | None]:
        values: dict[str, str | None] = {}
        for column in columns[: self.integer(2)]:
            kind = self.letter()
            if kind == "n":
                values[column.name] = None
            elif kind == "t":
                values[column.name] = self.taken(self.integer(4)).decode(errors="replace")
        return values


def transactions(messages: Iterable[bytes]) -> Iterator[Transaction]:
    """Return whole transactions, in the order of their commits."""
    relations: dict[int, Relation] = {}
    final_lsn, changes = "", list[Change]()
    for message in messages:
        reader = _Reader(message)
        kind = reader.letter()
        if kind == "B":
            final_lsn, changes = _lsn(reader.integer(8)), []
        elif kind == "R":
            oid = reader.integer(4)
            relations[oid] = _relation(reader)
        elif kind in CHANGES:
            changes.append(_change(kind, relations[reader.integer(4)], reader))
        elif kind == "C":
            yield Transaction(final_lsn, changes)


CHANGES = {"I": "INSERT", "U": "UPDATE", "D": "DELETE"}


def _relation(reader: _Reader) -> Relation:
    nspname, relname = reader.text(), reader.text()
    reader.letter()  # the replica identity's kind
    columns = []
    for _unused in range(reader.integer(2)):
        identifying = reader.integer(1) & IDENTIFYING
        columns.append(Column(reader.text(), bool(identifying)))
        reader.taken(8)  # type and its modifier
    return Relation(nspname or "pg_catalog", relname, columns)


def _change(kind: str, relation: Relation, reader: _Reader) -> Change:
    old: Row = {}
    new: Row = {}
    if (which := reader.letter()) in ("K", "O"):
        old = reader.row(relation.columns)
        which = reader.letter() if kind == "U" else ""
    if which == "N":
        new = reader.row(relation.columns)
    identifying = [column.name for column in relation.columns if column.identifying]
    values = old or new
    key = {name: values[name] for name in identifying if name in values}
    return Change(CHANGES[kind], relation, key, new)


def _lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
