# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which rows a last look before a crossing is for: few, and those that are likeliest to differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ..catalog.catalog import Table
from . import rereading
from .opening import Names
from .verdict import Moving

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg.sql import Composable

Written: TypeAlias = Mapping[Names, int]  # how often each table was written to

TABLES = 20  # those that were written to most
NEWEST_ROWS = 25  # of each, as far as they are no more than so many bytes and values
NEWEST_BYTES = 65536
NEWEST_VALUES = 2000
SMALL_ROWS = 200  # a table of no more, and no more bytes and values, is compared as a whole
MOVING_ROWS = 500  # of each table; a statement that is planned once, so its text may be long

# pg_type.dat: types whose order is the same on every server: integers, oid, date, timestamps,
# numeric, uuid. Texts are ordered by collations, which differ.
ORDERED = frozenset({20, 21, 23, 26, 1082, 1114, 1184, 1700, 2950})

NEWEST = "t.ctid = ANY (ARRAY(SELECT ctid FROM ONLY {table} ORDER BY {key} LIMIT {rows}))"


class Item(NamedTuple):
    """Rows of a table, as a condition on ``t``; None: all.

    :param what: ``moving``, ``newest`` or ``all``.
    """

    table: Table
    what: str
    only: Composable | None


class Left(NamedTuple):
    """What is not compared, and why."""

    table: str
    what: str
    reason: str


def plan(
    tables: Mapping[Names, Table], moving: Iterable[Moving], counts: Written
) -> tuple[list[Item], list[Left]]:
    """Return what to compare, the most urgent first, and what is left out.

    :param counts: how often each table was written to.
    """
    ranked = sorted((each for each in tables if counts.get(each, 0) > 0), key=lambda n: -counts[n])
    by_name = {str(table): table for table in tables.values()}
    keys: dict[str, list[Mapping[str, str]]] = {}
    for row in moving:
        keys.setdefault(row.table, []).append(row.key)
    items: list[Item] = []
    left: list[Left] = []
    for name, rows in keys.items():
        _add(_moving(by_name.get(name), name, rows), items, left)
    whole = {item.table.names for item in items if item.what == "all"}
    for names in [each for each in ranked if each not in whole][:TABLES]:
        _add(_latest(tables[names]), items, left)
    return items, left


def _add(found: Item | Left, items: list[Item], left: list[Left]) -> None:
    if isinstance(found, Item):
        items.append(found)
    else:
        left.append(found)


def _moving(table: Table | None, name: str, rows: Sequence[Mapping[str, str]]) -> Item | Left:
    if table is None:
        return Left(name, "moving", "it is not on both sides")
    if _small(table):
        return Item(table, "all", None)
    keys = [tuple(row[column] for column in table.key) for row in rows if {*row} == {*table.key}]
    if not table.key or not keys:
        return Left(name, "moving", "it has no key to read those rows by")
    return Item(table, "moving", rereading.those(table, keys[:MOVING_ROWS]))


def _latest(table: Table) -> Item | Left:
    if _small(table):
        return Item(table, "all", None)
    types = {column.name: column.type_oid for column in table.columns}
    if not table.key or any(types[name] not in ORDERED for name in table.key):
        return Left(str(table), "newest", "its key tells no order that both sides agree on")
    key = sql.SQL(", ").join(sql.SQL("{} DESC").format(sql.Identifier(name)) for name in table.key)
    only = sql.SQL(NEWEST).format(
        table=sql.Identifier(*table.names), key=key, rows=sql.Literal(_newest(table))
    )
    return Item(table, "newest", only)


def _small(table: Table) -> bool:
    rows = min(SMALL_ROWS, NEWEST_VALUES // max(len(table.columns), 1))
    return table.size_bytes <= NEWEST_BYTES and 0 <= table.reltuples <= rows


def _newest(table: Table) -> int:
    """Return how many rows to compare: few if they are long."""
    row_bytes = max(table.size_bytes / max(table.reltuples, 1.0), 1.0)
    within = min(NEWEST_BYTES / row_bytes, NEWEST_VALUES / max(len(table.columns), 1))
    return max(1, min(NEWEST_ROWS, int(within)))
