# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What replication does not carry and a crossing does: small large objects and unlogged tables.

All of it is brought level before anyone waits. In the stall, after the fence, the giver's own
counters tell whether any was written to since; only then is it brought level once more. Before
version 15 counters may come late, so that it always is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import PreconditionError
from ..clone import activity
from ..clone.activity import LARGE_OBJECTS, Activity
from ..clone.relations import USER_SCHEMA
from ..text import ident, qualified
from .session import Rows, Session, both

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

MB = 1024 * 1024
GROUP_BYTES = 8 * MB
COUNTERS_IN_TIME = 150000

# 262144 is INV_READ; see clone/large_objects.py.
SIZE = """\
SELECT count(*), coalesce(sum(bytes), 0)::bigint
  FROM (SELECT lo_lseek64(fd, 0, 2) AS bytes, lo_close(fd)
          FROM (SELECT lo_open(oid, 262144) AS fd
                  FROM pg_largeobject_metadata OFFSET 0) AS opened OFFSET 0) AS sized"""

UNLOGGED = f"""\
SELECT c.oid::text, nspname, relname, pg_table_size(c.oid),
       ARRAY(SELECT attname::text FROM pg_attribute
              WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
              ORDER BY attnum),
       EXISTS (SELECT FROM pg_trigger
                WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled IN ('O', 'A'))
  FROM pg_class c JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE relkind = 'r' AND relpersistence = 'u' AND {USER_SCHEMA}
 ORDER BY nspname, relname"""  # noqa: S608 - constants only

COUNTERS = """\
SELECT c.oid::text, pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_updated(c.oid),
       pg_stat_get_tuples_deleted(c.oid), coalesce(pg_relation_filenode(c.oid), 0)::bigint
  FROM pg_class c
 WHERE c.oid::text = ANY ('{{{oids}}}')"""

DIGESTS = """\
SELECT oid::bigint, encode(sha256(lo_get(oid)), 'hex'), octet_length(lo_get(oid))
  FROM pg_largeobject_metadata"""
READ_OBJECTS = """\
SELECT oid::bigint, lo_get(oid), pg_get_userbyid(lomowner),
       (SELECT coalesce(json_agg(json_build_array(pg_get_userbyid(grantee), privilege_type)), '[]')
          FROM aclexplode(lomacl) WHERE grantee <> 0 AND grantee <> lomowner)
  FROM pg_largeobject_metadata
 WHERE oid = ANY (%s::oid[])"""
UNLINK = "SELECT lo_unlink(oid) FROM unnest(%s::oid[]) AS oid"
MAKE = "SELECT lo_create(oid) FROM unnest(%s::oid[]) AS oid"
# 131072 is INV_WRITE. What an object had beyond its new end goes.
PUT = """\
SELECT lo_put(oid, 0, data), lo_truncate64(lo_open(oid, 131072), octet_length(data))
  FROM unnest(%s::oid[], %s::bytea[]) AS given (oid, data)"""


class Unlogged(NamedTuple):
    oid: str
    nspname: str
    relname: str
    bytes: int
    columns: Sequence[str]
    has_triggers: bool

    @property
    def name(self) -> str:
        return qualified(self.nspname, self.relname)


@dataclass(frozen=True, slots=True)
class Carried:
    """What has to be carried, and the giver's counters as it was brought level.

    :param always: the counters cannot be relied on.
    """

    has_objects: bool = False
    tables: Sequence[Unlogged] = ()
    counters: Activity = field(default_factory=dict)
    role_map: Mapping[str, str | None] = field(default_factory=dict)
    always: bool = False

    def look(self) -> str:
        """Return what the giver is asked in the stall; empty if there is nothing to carry."""
        return COUNTERS.format(oids=",".join(self._oids())) if self._oids() else ""

    def _oids(self) -> list[str]:
        return [*([LARGE_OBJECTS] if self.has_objects else []), *(t.oid for t in self.tables)]

    def due(self, rows: Rows) -> list[str]:
        """Return the OIDs of what was written to since it was brought level."""
        now = {oid: (ins, upd, del_, file) for oid, ins, upd, del_, file in rows}
        return self._oids() if self.always else activity.changed(self.counters, now)

    def level(self, giver: Session, taker: Session, oids: Collection[str]) -> dict[str, int]:
        """Bring those of ``oids`` level on the taker; return how much was written."""
        tables = [table for table in self.tables if table.oid in oids]
        rows = _copy_tables(giver, taker, tables) if tables else 0
        objects = LARGE_OBJECTS in oids and _level_objects(giver, taker, self.role_map)
        return {"large_objects": int(objects), "unlogged_rows": rows}


def ready(
    giver: Session, taker: Session, limit_bytes: int, role_map: Mapping[str, str | None]
) -> Carried:
    """Bring all of it level, before anyone waits. Raise PreconditionError if it is too much."""
    ((count, size),), found = giver.run(f"{SIZE}; {UNLOGGED}")
    (((there, _size),),) = taker.run(SIZE)
    tables = [Unlogged(*row) for row in found]
    _require_small(giver, int(count), int(size), tables, limit_bytes)
    has_objects = bool(count or there)
    if not (has_objects or tables):
        return Carried()
    always = giver.conn.info.server_version < COUNTERS_IN_TIME
    asked = Carried(has_objects, tables, {}, role_map, always)
    (rows,) = giver.run(asked.look())
    counters = {oid: (ins, upd, del_, file) for oid, ins, upd, del_, file in rows}
    asked.level(giver, taker, list(counters))
    return Carried(has_objects, tables, counters, role_map, always)


def _require_small(
    giver: Session, count: int, size: int, tables: Sequence[Unlogged], limit_bytes: int
) -> None:
    total = size + sum(table.bytes for table in tables)
    if total > limit_bytes:
        raise PreconditionError(
            f"{giver.name}: {count} large objects and {len(tables)} unlogged tables hold"
            f" {total // MB} MB, which replication does not carry",
            hint="Cross in a window (mode window), or raise carry_limit_mb: applications wait"
            " while they are compared.",
        )
    if fires := [table for table in tables if table.has_triggers]:
        raise PreconditionError(
            f"{giver.name}: the unlogged table {fires[0].name} has triggers, which would fire as"
            " its rows are copied",
            hint="Cross in a window (mode window), or make the table logged.",
        )


def _copy_tables(giver: Session, taker: Session, tables: Sequence[Unlogged]) -> int:
    """Replace the rows of ``tables`` on the taker, in one transaction; return how many came."""

    def replace(conn: Connection) -> int:
        names = ", ".join(table.name for table in tables)
        copied = 0
        with conn.transaction():
            conn.execute(f"TRUNCATE ONLY {names}".encode())
            for table in tables:
                copied += _copy(giver.conn, conn, table)
        return copied

    return taker.do(replace)


def _copy(giver: Connection, taker: Connection, table: Unlogged) -> int:
    columns = f"({', '.join(map(ident, table.columns))})" if table.columns else ""
    cursor = taker.cursor()
    with (
        giver.cursor().copy(f"COPY {table.name} {columns} TO STDOUT".encode()) as rows,
        cursor.copy(f"COPY {table.name} {columns} FROM STDIN".encode()) as copied,
    ):
        for data in rows:
            copied.write(data)
    return cursor.rowcount


def _level_objects(giver: Session, taker: Session, role_map: Mapping[str, str | None]) -> int:
    """Make the taker's large objects equal to the giver's; return how many were written."""
    (wanted,), (found,) = both(lambda: giver.run(DIGESTS), lambda: taker.run(DIGESTS))
    there = {oid: digest for oid, digest, _size in found}
    sizes = {oid: size for oid, digest, size in wanted if there.get(oid) != digest}
    gone = sorted(there.keys() - {oid for oid, *_unused in wanted})
    if gone:
        taker.do(lambda conn: conn.execute(UNLINK, [gone]))
    for group in _groups(sizes):
        rows = giver.do(lambda conn, group=group: conn.execute(READ_OBJECTS, [group]).fetchall())  # type: ignore[misc]
        new = [oid for oid in group if oid not in there]
        taker.do(lambda conn, rows=rows, new=new: _write(conn, rows, new, role_map))  # type: ignore[misc]
    return len(sizes) + len(gone)


def _groups(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    group: list[int] = []
    for oid, size in sizes.items():
        if group and sum(sizes[each] for each in group) + size > GROUP_BYTES:
            yield group
            group = []
        group.append(oid)
    if group:
        yield group


def _write(
    conn: Connection, rows: Rows, new: Sequence[int], role_map: Mapping[str, str | None]
) -> None:
    with conn.transaction():
        conn.execute(MAKE, [list(new)])
        conn.execute(PUT, [[row[0] for row in rows], [row[1] for row in rows]])
        made = [row for row in rows if row[0] in set(new)]
        if statements := list(_rights(made, role_map)):
            conn.execute(sql.SQL("; ").join(statements))


def _rights(rows: Iterable[tuple[Any, ...]], role_map: Mapping[str, str | None]) -> Iterator[Any]:
    """Yield what gives new objects their owners and grants, in the taker's role names."""
    for oid, _data, owner, grants in rows:
        number = sql.Literal(oid)
        for grantee, privilege in grants:
            if (role := role_map.get(grantee, grantee)) is not None:
                grant = sql.SQL("GRANT {} ON LARGE OBJECT {} TO {}")
                yield grant.format(sql.SQL(privilege), number, sql.Identifier(role))
        if (role := role_map.get(owner, owner)) is not None:
            give = sql.SQL("ALTER LARGE OBJECT {} OWNER TO {}")
            yield give.format(number, sql.Identifier(role))
