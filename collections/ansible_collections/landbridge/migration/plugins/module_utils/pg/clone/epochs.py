# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Epochs: which parts are of which snapshot, where the source stays open.

A snapshot goes with the session that exported it, and no other equals it while writes go on. So
tables that a killed run had finished stay with their epoch, whose slot brings what came after its
snapshot; the others are copied under a new one. Every part that carries rows has its epoch's
number beside its mark, and nobody without that epoch's snapshot can claim it (queue.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from .part import BATCH, COPY, SQL, Part

FIRST = 1

# Statements on many tables at once, which would wait for what is applied and it for them.
LOCKING = frozenset({"attach", "foreign_keys", "post"})


class Next(NamedTuple):
    """What an epoch is to copy.

    ``parts`` are all parts, those of this epoch with its number; ``again`` are those done before
    whose table is not whole.
    """

    number: int
    parts: list[Part]
    again: list[Part]

    def own(self) -> list[Part]:
        """The parts of this epoch."""
        return [part for part in self.parts if part.epoch == self.number]

    def oids(self) -> set[str]:
        """The tables of this epoch that can be followed, by their OIDs on the source."""
        return {oid for part in self.own() for oid in followed(part)}


def first(parts: Iterable[Part]) -> list[Part]:
    """Return parts with the first epoch's number where they carry rows."""
    return [replace(part, epoch=FIRST) if carries_rows(part) else part for part in parts]


def following(parts: Sequence[Part], done: Collection[str]) -> Next:
    """Return the epoch of what is not done; it has no parts if all rows are in."""
    number = max((part.epoch or 0 for part in parts), default=0) + 1
    left = {oid for part in parts if _is_left(part, done) for oid in oids(part)}
    again = [
        part
        for part in parts
        if carries_rows(part) and part.id in done and not left.isdisjoint(oids(part))
    ]
    redone = {part.id for part in again}
    begun = [
        replace(part, epoch=number) if _is_left(part, done) or part.id in redone else part
        for part in parts
    ]
    return Next(number, begun, again)


def whole(parts: Sequence[Part], done: Collection[str]) -> dict[int, set[str]]:
    """Return the followed tables all whose rows are in, by epoch, as OIDs on the source."""
    found: dict[int, set[str]] = {}
    left = {oid for part in parts if _is_left(part, done) for oid in oids(part)}
    for part in parts:
        if part.epoch is not None and part.id in done:
            found.setdefault(part.epoch, set()).update(followed(part))
    complete = {number: tables - left for number, tables in found.items()}
    return {number: tables for number, tables in sorted(complete.items()) if tables}


def awaited(parts: Iterable[Part], tables: Collection[str]) -> set[str]:
    """Return the ids of the parts without which a table of ``tables`` cannot be written to.

    Those are its rows, its indexes and its keys: an update is refused where its table's replica
    identity is missing.
    """
    parts = list(parts)
    copies = {part.id for part in parts if carries_rows(part) and set(oids(part)) & set(tables)}
    built = {part.id for part in parts if part.kind == SQL and copies & set(part.needs)}
    return copies | built


def deferred(parts: Sequence[Part]) -> set[str]:
    """Return the ids of the parts that wait until all epochs are level: validating keys.

    With a single epoch there are none: everything is of one snapshot.
    """
    if len({part.epoch for part in parts if part.epoch is not None and any(followed(part))}) < 2:
        return set()
    return {part.id for part in parts if part.id.startswith("validate:")}


def carries_rows(part: Part) -> bool:
    return part.kind in (COPY, BATCH)


def oids(part: Part) -> Iterator[str]:
    """Yield the source's tables whose rows a part carries."""
    tables: Iterable[Mapping[str, Any]] = part.payload.get("tables", [part.payload])
    yield from (str(table["oid"]) for table in tables if "oid" in table)


def followed(part: Part) -> Iterator[str]:
    """Yield those whose changes the log brings: no unlogged ones, nor those of extensions."""
    tables: Iterable[Mapping[str, Any]] = part.payload.get("tables", [part.payload])
    if not part.id.startswith("configured:"):
        yield from (str(t["oid"]) for t in tables if "oid" in t and not t.get("unlogged"))


def _is_left(part: Part, done: Collection[str]) -> bool:
    return carries_rows(part) and part.id not in done
