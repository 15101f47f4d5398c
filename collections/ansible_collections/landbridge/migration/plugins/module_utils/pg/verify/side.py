# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One side of a verification: a snapshot of its database, read by several sessions at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..catalog.catalog import Catalog, Column, Table
from ..connection import connect, translated
from . import checksum
from .checksum import Dialect, Part, Sum

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection, Cursor
    from psycopg.sql import Composable

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

# The jobs are the parallelism, and what is compiled is used once. "jit" came with 11.
QUIET = "SET LOCAL max_parallel_workers_per_gather = 0"
NO_JIT = "SET LOCAL jit = off"

# A server notices that its client was killed, and stops reading for it.
CHECKS_ITS_CLIENT = 140000
CHECK_CLIENT = "SET LOCAL client_connection_check_interval = '5s'"

# Better an error, which may be tried again, than to wait for ever for someone's lock.
LOCK_TIMEOUT = "SET lock_timeout = '60s'"

# As exact as servers before 12 and since can agree on, for floats inside composite values.
FLOATS_ALIKE = "SET LOCAL extra_float_digits = 0"

LARGE_OBJECTS = ("pg_catalog", "pg_largeobject_metadata")

LARGE_OBJECTS_TABLE = """\
SELECT pg_relation_size('pg_largeobject_metadata') / current_setting('block_size')::int,
       (SELECT count(*) FROM pg_largeobject_metadata), pg_relation_size('pg_largeobject')"""

# A large object by slices of 64 MB: a bytea ends at 1 GB, a large object at 4 TB.
SLICE_BYTES = 64 << 20
LARGE_OBJECT_ROW = """\
ROW(t.oid, (WITH RECURSIVE part (n, data) AS (
       SELECT 0::bigint, lo_get(t.oid, 0, {slice})
       UNION ALL
       SELECT n + 1, lo_get(t.oid, (n + 1) * {slice}, {slice}) FROM part
        WHERE octet_length(data) = {slice})
   SELECT string_agg({digest}, '' ORDER BY n) FROM part))::text"""


@dataclass(frozen=True, slots=True)
class Side:
    """A side; ``conn`` holds its snapshot and must stay open.

    :param shapes: of each table, the columns to compare (both sides have them) and whether its
        values may be long.
    """

    name: str
    server: Mapping[str, Any]
    conn: Connection
    catalog: Catalog
    dialect: Dialect
    snapshot: str
    shapes: Mapping[tuple[str, str], Shape]

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """Open a session of its own, to read sums with."""
        with connect(self.name, self.server) as conn:
            yield conn

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """Yield the session that holds the snapshot; what the block locks is free after it."""
        with translated(self.name), self.conn.transaction(force_rollback=True):
            yield self.conn

    def end(self) -> None:
        """Let the snapshot go, and pin for the session what its transaction was set to."""
        settings = (each.replace("SET LOCAL", "SET") for each in _settings(self.conn, self.dialect))
        with translated(self.name):
            self.conn.execute("; ".join(["COMMIT", *settings]).encode())

    def row(self, table: Table) -> Composable:
        """Return the text that stands for a row of ``table``."""
        if table.names == LARGE_OBJECTS:
            digest = self.dialect.digest_bytes(sql.SQL("data"))
            return sql.SQL(LARGE_OBJECT_ROW).format(slice=sql.Literal(SLICE_BYTES), digest=digest)
        shape = self.shapes[table.names]
        return self.dialect.row(shape.columns, long=shape.long)

    def digest(self, table: Table) -> Composable:
        return self.dialect.digest(self.row(table))

    def sums(self, conn: Connection, parts: Sequence[Part]) -> list[Sum]:
        """Return the sums of ``parts`` in the side's snapshot, asked for in one round trip.

        In a transaction of their own, so that no table is locked longer than its batch is read:
        an application's TRUNCATE would wait for it, and a subscription that applies one, too.
        """
        snapshot = sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self.snapshot))
        before = [sql.SQL(BEGIN), snapshot, *map(sql.SQL, _settings(conn, self.dialect))]
        statements = [
            checksum.sum_of(part.table, self.digest(part.table), part.pages) for part in parts
        ]
        with translated(self.name):
            cursor = conn.execute(sql.SQL(";\n").join([*before, *statements, sql.SQL("COMMIT")]))
            for _unused in before:
                cursor.nextset()
            return [_sum(cursor) for _unused in parts]


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns that a table has on both sides, with this side's types."""

    columns: tuple[Column, ...]
    long: bool


def _sum(cursor: Cursor[Any]) -> Sum:
    found = Sum(*map(int, cursor.fetchone() or ()))
    cursor.nextset()
    return found


def shape(table: Table, other: Table) -> Shape:
    """Return how to read ``table``: the common columns by name, an order both sides agree on."""
    names = {column.name for column in other.columns}
    common = sorted(column for column in table.columns if column.name in names)
    return Shape(tuple(common), long=table.toast_bytes > 0 or other.toast_bytes > 0)


def large_objects(conn: Connection) -> Table:
    """Return the large objects, described as a table whose key is the oid."""
    pages, count, size_bytes = conn.execute(LARGE_OBJECTS_TABLE).fetchone() or (0, 0, 0)
    columns = (Column("oid", 26),)
    return Table(*LARGE_OBJECTS, "r", columns, ("oid",), pages, float(count), size_bytes, True, "")


def begin(conn: Connection, dialect: Dialect) -> str:
    """Open the transaction whose snapshot all sessions of this side share; return its name."""
    statements = [BEGIN, *_settings(conn, dialect)]
    conn.execute(sql.SQL("; ").join(map(sql.SQL, statements)))
    row = conn.execute("SELECT pg_export_snapshot()").fetchone()
    return str(row[0]) if row else ""


def _settings(conn: Connection, dialect: Dialect) -> list[str]:
    settings = [QUIET, LOCK_TIMEOUT]
    if conn.info.server_version >= 110000:
        settings.append(NO_JIT)
    if conn.info.server_version >= CHECKS_ITS_CLIENT:
        settings.append(CHECK_CLIENT)
    if dialect.binary_floats:
        settings.append(FLOATS_ALIKE)
    return settings
