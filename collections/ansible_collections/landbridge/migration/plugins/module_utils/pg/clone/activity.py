# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Was the source written to between two looks? What its own statistics say of each table.

A copy that is taken up again has a new snapshot. It equals the old one only if nothing was
written meanwhile, which a fence should guarantee and this proves, table by table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from .relations import USER_SCHEMA

if TYPE_CHECKING:
    from psycopg import Connection

# The counters know of every row written, committed or not; the file changes with TRUNCATE, and
# with VACUUM FULL, which is harmless and rare.
READ = f"""\
SELECT c.oid::text, pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_updated(c.oid),
       pg_stat_get_tuples_deleted(c.oid), coalesce(pg_relation_filenode(c.oid), 0)::bigint
  FROM pg_class c JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE relkind = 'r' AND ({USER_SCHEMA} AND relpersistence <> 't' OR c.oid = 2613)"""  # noqa: S608

LARGE_OBJECTS = "2613"  # pg_largeobject's OID

Counts: TypeAlias = tuple[int, int, int, int]
Activity: TypeAlias = Mapping[str, Counts]


def read(conn: Connection) -> Activity:
    """Return each table's counters by its OID; outside a transaction, whose look would be old."""
    return {oid: (ins, upd, del_, file) for oid, ins, upd, del_, file in conn.execute(READ)}


def changed(before: Activity, now: Activity) -> list[str]:
    """Return the OIDs of tables that were written to, made or dropped since ``before``.

    Counters that went back were reset, by a crash of the server at most: such a table counts as
    unchanged only while none of its counters is above what it was.
    """
    return sorted(
        oid
        for oid in before.keys() | now.keys()
        if oid not in before or oid not in now or _grew(before[oid], now[oid])
    )


def _grew(before: Counts, now: Counts) -> bool:
    written = any(after > then for then, after in zip(before[:3], now[:3], strict=True))
    return written or before[3] != now[3]
