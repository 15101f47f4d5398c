# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must hold before a copy: each refusal is one sentence, and nothing was changed."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import PreconditionError
from ..connection import translated
from .relations import USER_SCHEMA, Table

if TYPE_CHECKING:
    from psycopg import Connection

DESCRIBE = """\
SELECT oid::bigint AS oid, datname, getdatabaseencoding() AS encoding, datcollate, datctype,
       has_database_privilege(oid, 'CREATE') AS may_create,
       ARRAY(SELECT extname::text FROM pg_extension ORDER BY 1) AS extensions,
       has_function_privilege('pg_control_system()', 'EXECUTE') AS may_identify
  FROM pg_database WHERE datname = current_database()"""

IDENTIFY = "SELECT system_identifier::text FROM pg_control_system()"
AVAILABLE = "SELECT name::text FROM pg_available_extensions"

# Whatever a copy would make: relations, and large objects (their names are numbers).
PRESENT = f"""\
SELECT nspname || '.' || relname
  FROM pg_class o JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't' AND {USER_SCHEMA}
   AND NOT EXISTS (SELECT FROM pg_depend
                    WHERE classid = 'pg_class'::regclass AND objid = o.oid AND deptype = 'e')
UNION ALL
SELECT 'large object ' || oid FROM pg_largeobject_metadata
 ORDER BY 1"""  # noqa: S608 - constants only

SAME_DATABASE = "SELECT pg_try_advisory_lock(%s)"
UNLOCK = "SELECT pg_advisory_unlock(%s)"


@dataclass(frozen=True, slots=True)
class Database:
    """One side, as far as the other must fit it."""

    oid: int
    datname: str
    encoding: str
    datcollate: str
    datctype: str
    may_create: bool
    extensions: list[str]
    system_identifier: str | None
    major: int

    def identity(self) -> dict[str, Any]:
        """Return what tells this database from any other."""
        return {
            "system_identifier": self.system_identifier,
            "oid": self.oid,
            "datname": self.datname,
        }


def describe(side: str, conn: Connection) -> Database:
    """Return what is to be compared of a database."""
    with translated(side):
        row = conn.execute(DESCRIBE).fetchone()
        if row is None:
            raise PreconditionError(f"{side}: the connection's database is gone")
        *described, may_identify = row
        identified = conn.execute(IDENTIFY).fetchone() if may_identify else None
    described += [str(identified[0]) if identified else None, conn.info.server_version // 10000]
    return Database(*described)


def check(source_conn: Connection, target_conn: Connection) -> tuple[Database, Database]:
    """Return both sides. Raise PreconditionError if the target cannot take the source."""
    with ThreadPoolExecutor(2) as pool:
        found = pool.submit(describe, "source", source_conn)
        source, target = found.result(), describe("target", target_conn)
    unknown = None in (source.system_identifier, target.system_identifier)
    if same(source, target) or (unknown and _share_locks(source_conn, target_conn)):
        raise PreconditionError(
            f"source and target are the same database, {source.datname}",
            hint="Name another server or database on one of the sides.",
        )
    if target.major < source.major:
        raise PreconditionError(
            f"target: Postgres {target.major} is older than the source's {source.major}",
            hint=f"Make the target with version {source.major} or newer.",
        )
    if source.encoding != target.encoding:
        raise PreconditionError(
            f"target: its encoding is {target.encoding}, the source's {source.encoding}",
            hint="Make the target database with the source's encoding.",
        )
    if not target.may_create:
        raise PreconditionError(
            f"target: {target_conn.info.user} may not create schemas in {target.datname}",
            hint="GRANT CREATE ON DATABASE to that role, or connect as the database's owner.",
        )
    _check_extensions(source, target, target_conn)
    return source, target


def same(source: Database, target: Database) -> bool:
    """Tell if both are one: a server copied from another has its identifier, not its time."""
    known = source.system_identifier is not None
    return known and source.identity() == target.identity()


def _share_locks(source_conn: Connection, target_conn: Connection) -> bool:
    """Tell if both are one where the servers do not say who they are."""
    key = [secrets.randbits(62)]
    mine = source_conn.execute(SAME_DATABASE, key).fetchone()
    if not (mine and mine[0]):
        return False
    try:
        theirs = target_conn.execute(SAME_DATABASE, key).fetchone()
        if theirs and theirs[0]:
            target_conn.execute(UNLOCK, key)
            return False
        return True
    finally:
        source_conn.execute(UNLOCK, key)


def _check_extensions(source: Database, target: Database, target_conn: Connection) -> None:
    if not (lacking := set(source.extensions) - set(target.extensions)):
        return
    if missing := sorted(lacking - {name for (name,) in target_conn.execute(AVAILABLE)}):
        raise PreconditionError(
            f"target: the server lacks the extension {', '.join(missing)}",
            hint="Allow it in the provider's settings, or drop it from the source.",
        )


def check_empty(
    target_conn: Connection, adopt: bool | Collection[str], coming: Collection[str]
) -> None:
    """Raise PreconditionError if the target holds what a copy did not make.

    :param adopt: what may be there: everything, or relations by ``schema.name``.
    :param coming: names of the source's relations; none of them may be there.
    """
    present = [name for (name,) in target_conn.execute(PRESENT)]
    if clash := [name for name in present if name in coming]:
        raise PreconditionError(
            f"target: {clash[0]} is there already and no copy of this source made it",
            hint="Name an empty target database, or drop what is in it.",
        )
    foreign = [name for name in present if adopt is not True and name not in (adopt or ())]
    if foreign:
        raise PreconditionError(
            f"target: the database already holds {len(foreign)} other relations,"
            f" first {foreign[0]}",
            hint="Name an empty target database, or list in adopt what may stay.",
        )


def check_readable(tables: Iterable[Table], user: str) -> None:
    """Raise PreconditionError if the source's role does not see every row."""
    found = sorted(tables, key=lambda table: table.name)
    if denied := [t.name for t in found if t.relkind in ("r", "p", "S") and not t.readable]:
        raise PreconditionError(
            f"source: {user} may not read {len(denied)} tables or sequences, first {denied[0]}",
            hint=f"GRANT pg_read_all_data TO {user} (from version 14 on), or SELECT on them and"
            " USAGE on their schemas.",
        )
    if hidden := [table.name for table in found if table.row_security_active]:
        raise PreconditionError(
            f"source: row security would hide rows of {len(hidden)} tables from {user},"
            f" first {hidden[0]}",
            hint=f"ALTER ROLE {user} BYPASSRLS, or connect as the tables' owner.",
        )
