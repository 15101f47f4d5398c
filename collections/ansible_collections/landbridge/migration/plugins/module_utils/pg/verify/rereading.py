# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rows that differed between two snapshots are read again, by key, until it is known why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ...waiting import Deadline, pauses
from ..catalog.catalog import Table
from ..connection import translated
from . import checksum, differing
from .differing import Row, RowDifference
from .opening import Names, Sides
from .progress import VerifyProgress
from .settling import NONE, Looks, Seen, decide
from .side import Side

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg.sql import Composable, Composed

Key: TypeAlias = tuple[str, ...]
Passed: TypeAlias = Callable[[], None]  # returns once the target has what the source has now

ROUNDS = 12
KEYS_A_STATEMENT = 500
BUILTIN_OIDS = 16384  # FirstNormalObjectId: transam.h

# What differs in a table without a key is told from every row of it, read once a look.
SEEN = """\
SELECT {key}, count(*), string_agg(DISTINCT h, ''::bytea ORDER BY h), {versions}, min(c),
       min(p::text)
  FROM ({rows}) d
 {only}
 GROUP BY 1"""
VERSIONS = "string_agg(p::text || x::text, ',' ORDER BY p)"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Rows of a table that differed, by key; without one, by their digests in hex."""

    table: Table
    keys: Sequence[Key]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the candidates.

    :param differing: by table, the rows that do differ.
    :param moving: those of which nothing can be said, by table.
    :param rows: how many there were, and in how many rounds they were read.
    """

    differing: Mapping[Names, list[RowDifference]]
    moving: Mapping[Names, Sequence[Key]]
    rows: int
    rounds: int


def settle(
    sides: Sides,
    candidates: Sequence[Candidates],
    passed: Passed,
    deadline: Deadline,
    progress: VerifyProgress,
) -> Settled:
    """Read ``candidates`` again until they are equal or differ, ROUNDS times or until ``deadline``.

    The sides' sessions are outside of any transaction, so that each look is a new one.
    """
    left = [each for each in candidates if each.keys]
    rows = _count(left)
    reread = 0
    differ: dict[Names, list[RowDifference]] = {}
    rounds = 0
    between = pauses(0.05, 2.0)
    while left and rounds < ROUNDS and not (rounds and deadline.passed):
        if rounds:
            deadline.pause(next(between))
        rounds += 1
        reread += _count(left)
        progress.doing("settle", f"{reread} rows in flight re-read")
        left = _round(sides, left, passed, differ)
    moving = {each.table.names: each.keys for each in left}
    return Settled(differ, moving, rows, rounds)


def _count(candidates: Iterable[Candidates]) -> int:
    return sum(len(each.keys) for each in candidates)


def _round(
    sides: Sides,
    candidates: Sequence[Candidates],
    passed: Passed,
    differ: dict[Names, list[RowDifference]],
) -> list[Candidates]:
    """Look once at all ``candidates``; add to ``differ``, return those that moved."""
    source, target = sides
    target_before, source_seen = look(target, candidates), look(source, candidates)
    passed()
    target_seen, source_after = look(target, candidates), look(source, candidates)
    moved = []
    for each, *seen in zip(
        candidates, target_before, source_seen, target_seen, source_after, strict=True
    ):
        verdicts = {
            key: decide(Looks(*(found.get(key, NONE) for found in seen))) for key in each.keys
        }
        if wrong := [key for key, verdict in verdicts.items() if verdict == "differs"]:
            names = differing.names_of(source, each.table)
            differ.setdefault(each.table.names, []).extend(
                differing.compare(
                    each.table, names, rows_of(wrong, seen[1]), rows_of(wrong, seen[2])
                )
            )
        if moving := [key for key, verdict in verdicts.items() if verdict == "moving"]:
            moved.append(Candidates(each.table, moving))
    return moved


def rows_of(keys: Sequence[Key], seen: Mapping[Key, Seen]) -> differing.Rows:
    return {
        key: Row(found.copies, found.digest, found.columns, found.ctid)
        for key in keys
        if (found := seen.get(key))
    }


def look(side: Side, candidates: Sequence[Candidates]) -> list[dict[Key, Seen]]:
    """Return what the side shows of each of ``candidates`` now; what it does not have is left out.

    Asked for at once: many tables may have rows in flight, far away. Each statement sees what is
    committed when it begins.
    """
    with translated(side.name), side.conn.pipeline():
        cursors = [
            [side.conn.execute(statement(side, each.table, keys)) for keys in _batches(each)]
            for each in candidates
        ]
    return [
        {
            tuple(key): Seen(copies, digest, versions, tuple(columns), ctid)
            for cursor in each
            for key, copies, digest, versions, columns, ctid in cursor
        }
        for each in cursors
    ]


def _batches(candidates: Candidates) -> Iterable[Sequence[Key]]:
    step = KEYS_A_STATEMENT if candidates.table.key else len(candidates.keys)
    for start in range(0, len(candidates.keys), step):
        yield candidates.keys[start : start + step]


def statement(side: Side, table: Table, keys: Sequence[Key]) -> Composed:
    """Return what reads the rows of ``keys``: by an index, or all of a table without a key."""
    if table.key:
        return seen(side, table, those(table, keys))
    digests = sql.SQL(", ").join(sql.Literal(bytes.fromhex(key[0])) for key in keys)
    only = sql.SQL("WHERE h IN (SELECT unnest(ARRAY[{}]::bytea[]))").format(digests)
    return seen(side, table, None, only)


def seen(
    side: Side, table: Table, rows: Composable | None, digests: Composable | None = None
) -> Composed:
    """Return what gives key, copies, digest, versions, columns and place of a table's rows.

    :param rows: which, as a condition on ``t``; None: all.
    :param digests: which of those, as a clause on their digests ``h``.
    """
    named = differing.described(side, table, columns=True) | {"x": sql.SQL("t.xmin")}
    return sql.SQL(SEEN).format(
        key=sql.SQL("n" if table.key else "ARRAY[encode(h, 'hex')]"),
        versions=side.dialect.digest(sql.SQL(VERSIONS)),
        rows=checksum.digests_of(table, named, only=rows),
        only=digests or sql.SQL(""),
    )


def those(table: Table, keys: Sequence[Key]) -> Composable:
    """Return the condition that a row's key is one of ``keys``.

    Values are literals of no type, which take the column's, so that an index serves. Operators of
    types that are not the server's own may be out of the search path: these compare as texts.
    """
    types = {column.name: column.type_oid for column in table.columns}
    names = [
        sql.SQL("{}" if types[name] < BUILTIN_OIDS else "{}::text").format(
            sql.Identifier("t", name)
        )
        for name in table.key
    ]
    if len(names) == 1:
        values = sql.SQL(", ").join(sql.Literal(key[0]) for key in keys)
        return sql.SQL("{} IN ({})").format(names[0], values)
    rows = [
        sql.SQL("({})").format(
            sql.SQL(" AND ").join(
                sql.SQL("{} = {}").format(name, sql.Literal(value))
                for name, value in zip(names, key, strict=True)
            )
        )
        for key in keys
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(rows))
