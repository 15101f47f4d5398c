# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a copy must know of the source's tables, indexes and constraints, in one round trip.

Sizes are read after the snapshot is taken: a table without a single page then holds no row that
the snapshot sees, and need not be read at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from psycopg import Connection

PG_CLASS = 1259  # pg_class, as an entry's class

# Ours are the schemas that are neither the system's nor Landbridge's, less extensions' members.
USER_SCHEMA = "nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'landbridge')"

TABLES = f"""\
SELECT c.oid, nspname, relname, relkind::text, relispartition, relhassubclass,
       EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid) AS inherits,
       reltuples::float8, relispopulated,
       CASE WHEN relkind = 'r' THEN pg_relation_size(c.oid) ELSE 0 END AS heap_bytes,
       CASE WHEN relkind = 'r' AND reltoastrelid <> 0
            THEN pg_relation_size(reltoastrelid) ELSE 0 END AS toast_bytes,
       ARRAY(SELECT quote_ident(attname)
               FROM pg_attribute
              WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped {{stored}}
              ORDER BY attnum) AS columns,
       EXISTS (SELECT FROM pg_attribute
                WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS has_columns,
       relpersistence = 'u' AS unlogged,
       has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable,
       relkind = 'r' AND row_security_active(c.oid) AS row_security_active
  FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE relkind IN ('r', 'p', 'm', 'f', 'v', 'S') AND relpersistence <> 't' AND {USER_SCHEMA}
   AND NOT EXISTS (SELECT FROM pg_depend
                    WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
 ORDER BY c.oid"""  # noqa: S608 - constants only

# pg_get_indexdef() costs a tenth of a millisecond: only for those that are built by themselves
# before they become a key, and a small one is made with it.
SMALL_KEY_BYTES = 1024 * 1024
INDEXES = f"""\
SELECT i.indexrelid, i.indrelid, x.relname, amname, bytes,
       i.indexprs IS NOT NULL AS has_expression,
       CASE WHEN indisunique AND bytes > {SMALL_KEY_BYTES}
            THEN pg_get_indexdef(i.indexrelid) END AS definition
  FROM pg_index i
  JOIN pg_class x ON x.oid = i.indexrelid
  JOIN pg_am ON pg_am.oid = x.relam
  JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL (SELECT pg_relation_size(i.indexrelid) AS bytes) AS size
 WHERE {USER_SCHEMA} AND x.relkind = 'i'"""  # noqa: S608 - constants only

CONSTRAINTS = f"""\
SELECT o.oid, conname, contype::text, conrelid, conindid, confrelid, convalidated, condeferrable,
       condeferred
  FROM pg_constraint o JOIN pg_namespace n ON n.oid = connamespace
 WHERE conrelid <> 0 AND {USER_SCHEMA}"""  # noqa: S608 - constants only

# Entries of other classes, each with the table it belongs to.
BELONGS = """\
SELECT 2604::oid, oid, adrelid FROM pg_attrdef
UNION ALL
SELECT 3381::oid, oid, stxrelid FROM pg_statistic_ext
UNION ALL
SELECT 1259::oid, objid, refobjid
  FROM pg_depend JOIN pg_class ON pg_class.oid = objid
 WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
   AND relkind = 'S' AND deptype IN ('a', 'i')"""

# Tables and sequences that something made before the data refers to: views, functions, other
# tables' columns, types and defaults, children. What belongs to the table itself does not count,
# nor does what is made after the data (foreign keys, triggers, rules, policies).
NEEDED = """\
WITH types AS (
  SELECT t.oid, t.typrelid AS relid FROM pg_type t WHERE t.typrelid <> 0
  UNION ALL
  SELECT a.oid, t.typrelid FROM pg_type t JOIN pg_type a ON a.oid = t.typarray
   WHERE t.typrelid <> 0
), uses AS (
  SELECT classid, objid, refobjid AS relid, deptype FROM pg_depend
   WHERE refclassid = 'pg_class'::regclass AND refobjid >= 16384
  UNION ALL
  SELECT classid, objid, relid, deptype FROM pg_depend JOIN types ON refobjid = types.oid
   WHERE refclassid = 'pg_type'::regclass AND refobjid >= 16384
)
SELECT DISTINCT relid
  FROM uses
  LEFT JOIN pg_class c ON uses.classid = 'pg_class'::regclass AND c.oid = uses.objid
  LEFT JOIN pg_rewrite w ON uses.classid = 'pg_rewrite'::regclass AND w.oid = uses.objid
  LEFT JOIN pg_attrdef f ON uses.classid = 'pg_attrdef'::regclass AND f.oid = uses.objid
  LEFT JOIN pg_depend own ON own.classid = 'pg_class'::regclass AND own.objid = relid
        AND own.refclassid = 'pg_class'::regclass AND own.deptype IN ('a', 'i')
 WHERE CASE
       WHEN c.oid IS NOT NULL
       THEN c.oid <> relid AND relkind NOT IN ('i', 'I', 't')
            AND NOT (relkind = 'S' AND uses.deptype IN ('a', 'i'))
       WHEN w.oid IS NOT NULL THEN ev_class <> relid AND rulename = '_RETURN'
       WHEN f.oid IS NOT NULL THEN adrelid <> relid AND adrelid IS DISTINCT FROM own.refobjid
       WHEN uses.classid = 'pg_type'::regclass THEN uses.deptype <> 'i'
       ELSE uses.classid NOT IN ('pg_constraint'::regclass, 'pg_trigger'::regclass,
                            'pg_policy'::regclass, 'pg_statistic_ext'::regclass,
                            'pg_publication_rel'::regclass)
       END"""

# Tables of extensions whose rows are the user's: those that fulfil the condition.
CONFIGURED = """\
SELECT c.oid, nspname, relname, condition,
       ARRAY(SELECT quote_ident(attname)
               FROM pg_attribute
              WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped {stored}
              ORDER BY attnum)
  FROM (SELECT unnest(extconfig) AS oid, unnest(extcondition) AS condition
          FROM pg_extension) AS configured
  JOIN pg_class c ON c.oid = configured.oid
  JOIN pg_namespace n ON n.oid = relnamespace
 WHERE relkind = 'r'"""

REPLICATION = """\
SELECT 'publication', pubname::text FROM pg_publication
UNION ALL
SELECT 'subscription', subname::text
  FROM pg_subscription JOIN pg_database d ON d.oid = subdbid
 WHERE datname = current_database()
 ORDER BY 1, 2"""


@dataclass(frozen=True, slots=True)
class Table:
    """A relation of the source; ``columns`` are quoted and leave generated ones out."""

    oid: int
    nspname: str
    relname: str
    relkind: str
    relispartition: bool
    relhassubclass: bool  # it has children, or had
    inherits: bool
    reltuples: float  # -1 if never analyzed
    relispopulated: bool
    heap_bytes: int
    toast_bytes: int
    columns: list[str]
    has_columns: bool
    unlogged: bool  # a crash empties it
    readable: bool  # by the role of the connection
    row_security_active: bool  # for that role

    @property
    def name(self) -> str:
        """The name for people; not quoted."""
        return f"{self.nspname}.{self.relname}"

    @property
    def bytes(self) -> int:
        return self.heap_bytes + self.toast_bytes

    @property
    def rows_expected(self) -> int | None:
        """The statistics' row count; None if there are none or they are of an empty table."""
        if self.heap_bytes == 0:
            return 0
        return int(self.reltuples) if self.reltuples > 0 else None


@dataclass(frozen=True, slots=True)
class Index:
    oid: int
    indrelid: int
    relname: str
    amname: str
    bytes: int
    has_expression: bool
    definition: str | None  # of a unique one that is not small


@dataclass(frozen=True, slots=True)
class Constraint:
    oid: int
    conname: str
    contype: str
    conrelid: int
    conindid: int
    confrelid: int
    convalidated: bool
    condeferrable: bool
    condeferred: bool


class Configured(NamedTuple):
    """A table of an extension, and the condition that the user's rows in it fulfil."""

    oid: int
    nspname: str
    relname: str
    condition: str
    columns: list[str]


class Relations(NamedTuple):
    """The user's relations, and what else a plan needs of the catalogs.

    ``belongs``: the table of an entry, by class and OID. ``needed``: OIDs of relations that are
    made from. ``replication``: publications and subscriptions by kind and name.
    ``configured``: tables of extensions.
    """

    tables: Mapping[int, Table]
    indexes: Mapping[int, Index]
    constraints: Mapping[int, Constraint]
    belongs: Mapping[tuple[int, int], int]
    needed: frozenset[int]
    replication: list[tuple[str, str]]
    configured: list[Configured]

    def indexes_of(self) -> Mapping[int, list[Index]]:
        """The indexes by their table."""
        found: dict[int, list[Index]] = defaultdict(list)
        for index in self.indexes.values():
            found[index.indrelid].append(index)
        return found

    def needed_sequences(self) -> frozenset[int]:
        """The tables one of whose own sequences something else needs."""
        return frozenset(
            owner
            for (class_oid, oid), owner in self.belongs.items()
            if class_oid == PG_CLASS and oid in self.needed
        )

    def ordinary(self) -> Iterable[Table]:
        """The tables that hold rows: partitioned parents and foreign tables do not."""
        return (table for table in self.tables.values() if table.relkind == "r")


def read(conn: Connection) -> Relations:
    """Return the user's relations of a database."""
    stored = "AND attgenerated = ''" if conn.info.server_version >= 120000 else ""
    with conn.pipeline():
        found = [
            conn.execute(query.encode())
            for query in (
                TABLES.format(stored=stored), INDEXES, CONSTRAINTS, BELONGS, NEEDED, REPLICATION,
                CONFIGURED.format(stored=stored),
            )
        ]  # fmt: skip
    tables = [Table(*row) for row in found[0]]
    indexes = [Index(*row) for row in found[1]]
    constraints = [Constraint(*row) for row in found[2]]
    return Relations(
        {table.oid: table for table in tables},
        {index.oid: index for index in indexes},
        {constraint.oid: constraint for constraint in constraints},
        {(class_oid, oid): table for class_oid, oid, table in found[3]},
        frozenset(oid for (oid,) in found[4]),
        found[5].fetchall(),
        [Configured(*row) for row in found[6]],
    )
