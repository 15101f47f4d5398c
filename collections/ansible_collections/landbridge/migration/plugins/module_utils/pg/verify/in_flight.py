# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows that were written to between the source's snapshot and the target's, without a search.

A row that the source's snapshot shows and that was written to since has an xmax that is no older
than the snapshot; a row that came to the target since has such an xmin there. Reading those costs
no digest. If what is left of both sides' sums without these rows is alike, they are all that
differs. If not (a row is wrong, or was written to while others held it locked, which leaves a
multixact in its xmax), the table has to be searched (differing.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from ..catalog.catalog import Table
from . import checksum, differing, rereading
from .checksum import Sum
from .opening import Sides
from .rereading import Candidates, Key
from .settling import NONE, Seen
from .side import Side
from .verdict import TableResult

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

Horizon: TypeAlias = str  # the oldest transaction, as an xid, that a snapshot may not show

MOST_ROWS = 50_000

# txid_… for majors before 13; an xid is its lower half.
HORIZON = "SELECT (txid_snapshot_xmin(txid_current_snapshot()) % 4294967296)::text"

SINCE = "NOT t.{column} = '0'::xid AND age(t.{column}) <= age({horizon}::xid)"


def horizon(conn: Connection) -> Horizon:
    """Return the horizon of the session's snapshot, or of now if it holds none."""
    row = conn.execute(HORIZON).fetchone()
    return str(row[0]) if row else "0"


def find(
    sides: Sides, table: Table, result: TableResult, horizons: tuple[Horizon, Horizon]
) -> list[Key] | None:
    """Return the keys of all rows that differ, or None if they are not what was written to.

    :param horizons: of the source's snapshot, and of the target before that was taken.
    """
    if not table.key:
        return None
    columns = zip(sides, ("xmax", "xmin"), horizons, strict=True)
    keys = {key for side, column, since in columns for key in _since(side, table, column, since)}
    if len(keys) > MOST_ROWS:
        return None
    candidates = Candidates(table, sorted(keys))
    one, other = (_look(side, candidates) for side in sides)
    rest = _rest(result.source, one)
    if rest is None or rest != _rest(result.target, other):
        return None
    return [
        key for key in candidates.keys if one.get(key, NONE).content != other.get(key, NONE).content
    ]


def _since(side: Side, table: Table, column: str, since: Horizon) -> set[Key]:
    """Return the keys of rows whose ``column`` is a transaction not older than ``since``."""
    only = sql.SQL(SINCE.format(column=column, horizon="{}")).format(sql.Literal(since))
    rows = checksum.digests_of(table, {"n": differing.key_values(table)}, only=only)
    statement = sql.SQL("{} LIMIT {}").format(rows, sql.Literal(MOST_ROWS + 1))
    with side.looking() as conn:
        return {tuple(key) for (key,) in conn.execute(statement)}


def _look(side: Side, candidates: Candidates) -> dict[Key, Seen]:
    with side.looking():
        (found,) = rereading.look(side, [candidates])
    return found


def _rest(total: Sum, seen: Mapping[Key, Seen]) -> Sum | None:
    """Return ``total`` without the rows ``seen``; None if a key is there twice."""
    if any(each.copies > 1 for each in seen.values()):
        return None
    return Sum(
        total.rows - len(seen),
        total.high - sum(_half(each.digest, 0) for each in seen.values()),
        total.low - sum(_half(each.digest, 8) for each in seen.values()),
    )


def _half(digest: bytes, start: int) -> int:
    """Return what checksum.half() gives."""
    return int.from_bytes(digest[start : start + 8], "big", signed=True)
