# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which rows of a table differ, found in two reads of it.

The first read adds rows up by bucket, a bucket being a few bits of the digest of the row's key, so
that both sides put a row into the same bucket whatever its order, page or collation; the second
fetches keys and digests of the buckets that differ. A table without a key is looked at by the
digests of whole rows: how often each occurs.
Values stay on the servers. What leaves them is a row's key, its digest and its columns' digests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from ..catalog.catalog import Table
from . import checksum
from .checksum import Sum
from .side import LARGE_OBJECTS, Side

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg.sql import Composable

ROWS_A_BUCKET = 64
MOST_BUCKETS = 65536

COLUMN_DIGEST_BYTES = 6


class Look(NamedTuple):
    """How much of a table is looked at; ``columns``: whether those that differ are told."""

    buckets: int
    rows: int
    columns: bool


NAMED = Look(100, 20000, columns=True)


class Row(NamedTuple):
    """A row as seen from outside; ``columns`` are its columns' digests, None for NULL."""

    copies: int
    digest: bytes
    columns: tuple[str | None, ...]
    ctid: str


Rows = dict[tuple[str, ...], Row]


class RowDifference(NamedTuple):
    """A row that differs.

    :param key: column and value of the key; without a key, ``ctid`` and where to look.
    :param finding: ``missing`` on the target, ``extra`` or ``changed``.
    :param columns: which differ, of a changed row.
    """

    key: dict[str, str]
    finding: str
    columns: list[str]

    def __str__(self) -> str:
        key = ", ".join(f"{name} {value}" for name, value in self.key.items())
        columns = f" in {', '.join(self.columns)}" if self.columns else ""
        return f"{key} ({self.finding}{columns})"


class Differing(NamedTuple):
    """The rows that differ.

    :param complete: all are known; else there are more than were looked at.
    """

    rows: list[RowDifference]
    complete: bool


Sides = tuple[Side, Side]


class Examined(NamedTuple):
    """The rows that may differ, as each side has them.

    :param complete: no others differ.
    """

    source: Rows
    target: Rows
    complete: bool

    def keys(self) -> list[tuple[str, ...]]:
        """Return the keys of the rows that do differ."""
        both = self.source.keys() | self.target.keys()
        return sorted(key for key in both if not _alike(self.source.get(key), self.target.get(key)))


def find(sides: Sides, table: Table, most_rows: int) -> Differing:
    """Return the rows of ``table`` that differ; ``most_rows`` is the bigger side's row count."""
    found = examine(sides, table, most_rows, NAMED)
    rows = compare(table, names_of(sides[0], table), found.source, found.target)
    return Differing(rows, found.complete)


def examine(sides: Sides, table: Table, most_rows: int, look: Look) -> Examined:
    """Return the rows among which are those that differ."""
    buckets = 1
    while buckets < min(MOST_BUCKETS, most_rows / ROWS_A_BUCKET):
        buckets *= 2
    differing: list[int] | None = None
    if buckets > 1:
        source, target = _both(sides, lambda side: _by_bucket(side, table, buckets))
        differing = sorted(
            number
            for number in source.keys() | target.keys()
            if source.get(number) != target.get(number)
        )
    rows_a_bucket = max(1, most_rows // buckets)
    examined = max(1, min(look.buckets, look.rows // rows_a_bucket))
    chosen = None if differing is None else differing[:examined]
    bucket = (buckets, chosen)
    source_rows, target_rows = _both(sides, lambda side: _rows(side, table, bucket, look.columns))
    complete = differing is None or len(differing) <= examined
    return Examined(source_rows, target_rows, complete)


def compare(table: Table, names: Sequence[str], source: Rows, target: Rows) -> list[RowDifference]:
    """Return how rows differ, by key; ``names`` are those of Row.columns."""
    found = []
    for key in sorted(source.keys() | target.keys()):
        one, other = source.get(key), target.get(key)
        if _alike(one, other):
            continue
        if table.key and one and other:
            columns = [
                name
                for name, left, right in zip(names, one.columns, other.columns, strict=True)
                if left != right
            ]
            found.append(RowDifference(dict(zip(table.key, key, strict=True)), "changed", columns))
        elif table.key:
            shown = dict(zip(table.key, key, strict=True))
            found.append(RowDifference(shown, "missing" if one else "extra", []))
        else:
            found.append(_keyless(one, other))
    return found


def _alike(one: Row | None, other: Row | None) -> bool:
    return one is not None and other is not None and one[:2] == other[:2]


def _keyless(one: Row | None, other: Row | None) -> RowDifference:
    more, fewer = (one.copies if one else 0), (other.copies if other else 0)
    finding = "missing" if more > fewer else "extra"
    side, row = ("source", one) if more > fewer else ("target", other)
    key = {"ctid": f"{row.ctid if row else '?'} on the {side}"}
    if one and other:
        key["copies"] = f"{more} on the source, {fewer} on the target"
    return RowDifference(key, finding, [])


def _both(sides: Sides, read: Callable[[Side], Any]) -> tuple[Any, Any]:
    with ThreadPoolExecutor(2) as pool:
        source, target = pool.map(read, sides)
    return source, target


def names_of(side: Side, table: Table) -> list[str]:
    """Return what ``columns`` of a Row are the digests of."""
    if table.names == LARGE_OBJECTS:
        return ["data"]
    return [column.name for column in side.shapes[table.names].columns]


def _by_bucket(side: Side, table: Table, buckets: int) -> dict[int, Sum]:
    """Return the sums of each bucket."""
    digests = checksum.digests_of(table, {"h": side.digest(table), "k": _key(side, table)})
    form = "SELECT {}, count(*), sum({}), sum({}) FROM ({}) d GROUP BY 1"
    bucket = checksum.bucket(sql.Identifier("k"), buckets)
    statement = sql.SQL(form).format(bucket, checksum.half("h", 0), checksum.half("h", 8), digests)
    with side.looking() as conn:
        return {number: Sum(*map(int, amounts)) for number, *amounts in conn.execute(statement)}


def _rows(side: Side, table: Table, bucket: tuple[int, list[int] | None], columns: bool) -> Rows:
    """Return the rows in the chosen ones of so many buckets (None: all), keyed as both would."""
    named = described(side, table, columns=columns)
    buckets, chosen = bucket
    only = None
    if chosen is not None:
        number = checksum.bucket(_key(side, table), buckets)
        only = sql.SQL("{} = ANY ({})").format(number, sql.Literal(list(chosen)))
    inner = checksum.digests_of(table, named, only=only)
    form = "SELECT n, h, c, count(*), min(p::text) FROM ({}) d GROUP BY n, h, c"
    with side.looking() as conn:
        return _keyed(table, conn.execute(sql.SQL(form).format(inner)))


def described(side: Side, table: Table, *, columns: bool) -> dict[str, Composable]:
    """Return what is asked of a row: digest, columns' digests, key, place."""
    values = _values(side, table) if table.key and columns else []
    digests = [_column_digest(side, value) for value in values]
    return {
        "h": side.digest(table),
        "c": sql.SQL("ARRAY[{}]::text[]").format(sql.SQL(", ").join(digests)),
        "n": key_values(table),
        "p": sql.SQL("t.ctid"),
    }


def _keyed(table: Table, found: Iterable[tuple[Any, ...]]) -> Rows:
    """Return rows by key; where the key does not hold (on the target it may), all of a key's."""
    rows: Rows = {}
    for key, digest, columns, copies, ctid in found:
        name = tuple(key) if table.key else (digest.hex(),)
        row = Row(copies, digest, tuple(columns), ctid)
        if before := rows.get(name):
            digests = b"".join(sorted([before.digest, digest]))
            row = Row(before.copies + copies, digests, row.columns, ctid)
        rows[name] = row
    return rows


def _key(side: Side, table: Table) -> Composable:
    """Return the digest that decides a row's bucket: of its key, or of all of it."""
    if not table.key:
        return side.digest(table)
    names = (sql.Identifier("t", name) for name in table.key)
    return side.dialect.digest(sql.SQL("ROW({})::text").format(sql.SQL(", ").join(names)))


def key_values(table: Table) -> Composable:
    """Return the values of a row's key, as texts."""
    names = (sql.SQL("{}::text").format(sql.Identifier("t", name)) for name in table.key)
    return sql.SQL("ARRAY[{}]::text[]").format(sql.SQL(", ").join(names))


def _values(side: Side, table: Table) -> list[Composable]:
    if table.names == LARGE_OBJECTS:
        return [side.row(table)]
    shape = side.shapes[table.names]
    return [side.dialect.value(column, long=shape.long) for column in shape.columns]


def _column_digest(side: Side, value: Composable) -> Composable:
    text = side.dialect.digest(sql.SQL("({})::text").format(value))
    form = f"encode(substr({{}}, 1, {COLUMN_DIGEST_BYTES}), 'hex')"
    return sql.SQL(form).format(text)
