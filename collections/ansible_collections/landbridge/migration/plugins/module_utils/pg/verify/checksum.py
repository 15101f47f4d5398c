# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The SQL that turns rows into sums that are equal on both sides, or a row is not.

A row's text is record_out()'s: one call for all columns, NULL told from '' and every comma, quote
and bracket of a value quoted, so that no two rows share a text. Its sha256 is cut into two
64-bit halves which are summed: addition knows no order, so each side reads its own pages in its
own chunks, in whatever order they lie, keys or no keys, and collations cannot matter.

Measured on one core, 500,000 rows of 300 bytes (150 MB), Postgres 17, milliseconds: record_out
320, with sha256 625, with the halves by get_byte() 860; halves by casts of hex text to bit(64)
900-920; columns joined by hand with their lengths 1,180 before any digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..catalog.catalog import Column, Table

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg.sql import Composable

# pg_type.dat: the types with rules of their own.
BYTEA, TEXT, VARCHAR, JSON, XML = 17, 25, 1043, 114, 142
FLOAT4, FLOAT8, FLOAT4S, FLOAT8S = 700, 701, 1021, 1022
SENT = {FLOAT4: "float4send", FLOAT8: "float8send", FLOAT4S: "array_send", FLOAT8S: "array_send"}

# Longer values go into the row's text as their digests: a row's text ends at 1 GB, a bytea of half
# of that is written in twice its size.
LONG_BYTES = 8192

# Postgres 12 writes floats exactly and shortest; before, they are sent in binary form instead.
FLOATS_EXACT_SINCE = 120000
SHA256_SINCE = 110000
TID_RANGE_SCAN_SINCE = 140000


class Sum(NamedTuple):
    """Rows and their digests' halves, added up."""

    rows: int = 0
    high: int = 0
    low: int = 0

    def __add__(self, other: Sum) -> Sum:  # type: ignore[override]  # not a longer tuple
        return Sum(self.rows + other.rows, self.high + other.high, self.low + other.low)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a side writes a digest so that the other side's is the same.

    :param algorithm: ``sha256``, or ``md5`` if a side is older than Postgres 11.
    :param encoding: the side's server_encoding.
    :param binary_floats: a side is too old to write a float exactly.
    """

    algorithm: str
    encoding: str
    binary_floats: bool

    @classmethod
    def between(cls, version: int, other: int, encoding: str) -> Dialect:
        older = min(version, other)
        algorithm = "sha256" if older >= SHA256_SINCE else "md5"
        return cls(algorithm, encoding, older < FLOATS_EXACT_SINCE)

    def digest(self, text: Composable) -> Composable:
        """Return the digest of a text, as bytea.

        textsend() gives the text's bytes in the client's encoding, UTF-8. SQL_ASCII promises no
        encoding at all: its bytes are taken as they are.
        """
        as_they_are = self.encoding == "SQL_ASCII"
        form = "convert_to({}, 'SQL_ASCII')" if as_they_are else "textsend({})"
        return self.digest_bytes(sql.SQL(form).format(text))

    def digest_bytes(self, data: Composable) -> Composable:
        form = "sha256({})" if self.algorithm == "sha256" else "decode(md5({}), 'hex')"
        return sql.SQL(form).format(data)

    def row(self, columns: Sequence[Column], *, long: bool) -> Composable:
        """Return the text of a row's ``columns``.

        :param long: values may be long: give their digests in their place.
        """
        values = [self.value(column, long=long) for column in columns]
        return sql.SQL("ROW({})::text").format(sql.SQL(", ").join(values))

    def value(self, column: Column, *, long: bool) -> Composable:
        name = sql.Identifier("t", column.name)
        if self.binary_floats and column.type_oid in SENT:
            return sql.SQL(f"{SENT[column.type_oid]}({{}})").format(name)
        if not long:
            return name
        if column.type_oid == BYTEA:
            return _unless_long(name, self.digest_bytes(name), "octet_length({})", "{}")
        if column.type_oid in (TEXT, VARCHAR, JSON, XML):
            # A cast shows an xml's declaration, which xml_out() and so every copy may leave out.
            form = "textin(xml_out({}))" if column.type_oid == XML else "{}::text"
            text = sql.SQL(form).format(name)
            return _unless_long(text, self.digest(text), "octet_length({})", "encode({}, 'hex')")
        return name


def _unless_long(value: Composable, digest: Composable, length: str, shown: str) -> Composable:
    return sql.SQL(f"CASE WHEN {length} > {LONG_BYTES} THEN {shown} ELSE {{}} END").format(
        value, digest, value
    )


def sum_of(table: Table, row: Composable, pages: range | None) -> Composable:
    """Return the statement that gives the Sum of a table's rows in ``pages`` (None: all)."""
    form = "SELECT count(*), coalesce(sum({}), 0), coalesce(sum({}), 0) FROM ({}) h"
    digests = digests_of(table, {"h": row}, pages)
    return sql.SQL(form).format(half("h", 0), half("h", 8), digests)


def digests_of(
    table: Table,
    named: dict[str, Composable],
    pages: range | None = None,
    only: Composable | None = None,
) -> Composable:
    """Return the statement that gives ``named`` expressions for each row, where ``only`` holds.

    OFFSET 0 keeps the planner from copying a digest's expression to wherever its name is used.
    """
    items = (sql.SQL("{} AS {}").format(text, sql.Identifier(key)) for key, text in named.items())
    form = "SELECT {} FROM ONLY {} t {} OFFSET 0"
    source = sql.Identifier(*table.names)
    return sql.SQL(form).format(sql.SQL(", ").join(items), source, _where(table, pages, only))


def _where(table: Table, pages: range | None, only: Composable | None) -> Composable:
    conditions: list[Composable] = [] if only is None else [only]
    if table.condition:  # of an extension's own, "WHERE …"; its columns are the table's
        conditions.append(sql.SQL("({})").format(sql.SQL(table.condition.strip()[5:])))
    if pages is not None:
        between = sql.SQL("t.ctid >= '({},0)'::tid AND t.ctid < '({},0)'::tid")
        conditions.append(between.format(sql.SQL(str(pages.start)), sql.SQL(str(pages.stop))))
    if not conditions:
        return sql.SQL("")
    return sql.SQL("WHERE {}").format(sql.SQL(" AND ").join(conditions))


def half(digest: str, start: int) -> Composable:
    """Return eight bytes of a digest as a bigint."""
    name = sql.Identifier(digest).as_string()
    terms = (
        f"(get_byte({name}, {start + place})::bigint << {56 - 8 * place})" for place in range(8)
    )
    return sql.SQL("(" + " | ".join(terms) + ")")


def bucket(digest: Composable, buckets: int) -> Composable:
    """Return which of ``buckets`` (a power of two, at most 65,536) a digest belongs to."""
    form = f"((get_byte({{}}, 0) << 8 | get_byte({{}}, 1)) & {buckets - 1})"
    return sql.SQL(form).format(digest, digest)


class Part(NamedTuple):
    """Some of a table's pages, or all of them (None)."""

    table: Table
    pages: range | None
    size_bytes: int


# A part is read in a second or two; a statement asks for many tables that are small.
PART_BYTES = 256 << 20
BATCH_BYTES = 4 << 20
BATCH_TABLES = 64


def parts_of(table: Table, version: int, chunk_rows: int) -> list[Part]:
    """Return the parts to read one after another or at once, of about ``chunk_rows`` rows each.

    The last one is open-ended: the table may have grown since its pages were counted. Before
    Postgres 14 a range of pages would be found by reading all of them, so there is one part.
    """
    rows_a_page = table.reltuples / table.pages if table.reltuples > 0 and table.pages else 100
    step = max(1, min(int(chunk_rows / rows_a_page), _pages_of(PART_BYTES, table)))
    if version < TID_RANGE_SCAN_SINCE or table.pages <= step:
        return [Part(table, None, table.size_bytes)]
    starts = range(0, table.pages, step)
    size = table.size_bytes // len(starts)
    last = starts[-1]
    return [
        Part(table, range(start, LAST_PAGE if start == last else start + step), size)
        for start in starts
    ]


LAST_PAGE = 0xFFFFFFFE  # MaxBlockNumber: block.h


def _pages_of(size_bytes: int, table: Table) -> int:
    return max(1, size_bytes * table.pages // max(1, table.size_bytes))


def batches(parts: Sequence[Part]) -> list[list[Part]]:
    """Return ``parts`` in the order to read them, the biggest first, the small ones together.

    A batch is one round trip: a thousand small tables must not take a thousand.
    """
    ordered = sorted(parts, key=lambda part: -part.size_bytes)
    found: list[list[Part]] = []
    size = BATCH_BYTES
    for part in ordered:
        if size + part.size_bytes > BATCH_BYTES or len(found[-1]) >= BATCH_TABLES:
            found.append([])
            size = 0
        found[-1].append(part)
        size += part.size_bytes
    return found
