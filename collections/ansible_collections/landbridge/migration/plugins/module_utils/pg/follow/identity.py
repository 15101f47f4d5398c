# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replica identities: by which columns a change names the row that it is of.

A table that is published without one refuses every UPDATE and DELETE, on the source and at once.
So each table gets an identity before it is published: its primary key, else a unique index of
columns that are never null, else the whole row. They are set and put back by identity_memory.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ...errors import PreconditionError
from ..clone.relations import USER_SCHEMA
from ..text import ident, literal, qualified

if TYPE_CHECKING:
    from psycopg import Connection

# What RelationGetIndexList() (relcache.c) takes for an identity; a deferrable key is none.
READ = f"""\
WITH fit AS (
  SELECT indrelid, x.relname, indisprimary, indisreplident, indnkeyatts, indexrelid
    FROM pg_index JOIN pg_class x ON x.oid = indexrelid
   WHERE indisunique AND indimmediate AND indisvalid AND indpred IS NULL AND indexprs IS NULL
     AND NOT EXISTS (SELECT FROM pg_attribute
                      WHERE attrelid = indrelid AND NOT attnotnull
                        AND attnum = ANY ((indkey::int2[])[0:indnkeyatts - 1]))
)
SELECT c.oid::bigint, nspname, c.relname, pg_get_userbyid(relowner),
       pg_has_role(relowner, 'USAGE'), relreplident::text,
       EXISTS (SELECT FROM fit WHERE indrelid = c.oid AND indisprimary),
       coalesce((SELECT relname FROM fit WHERE indrelid = c.oid AND indisreplident), ''),
       ARRAY(SELECT relname::text FROM fit WHERE indrelid = c.oid AND NOT indisprimary
              ORDER BY indnkeyatts, pg_relation_size(indexrelid), relname),
       ARRAY(SELECT ARRAY[attname::text, format_type(atttypid, NULL)]
               FROM pg_attribute
              WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
              ORDER BY attnum)
  FROM pg_class c JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE relkind = 'r' AND relpersistence = 'p' AND {USER_SCHEMA}
   AND NOT EXISTS (SELECT FROM pg_depend
                    WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e')
 ORDER BY nspname, c.relname"""  # noqa: S608 - constants only

# The server's own answer whether rows of a type can be compared: DISTINCT looks up the operator
# that applying a change to a row looks up (tuples_equal() in execReplication.c).
COMPARABLE = """\
DO $$
DECLARE
  name text;
  found text[] := '{}';
BEGIN
  FOREACH name IN ARRAY %s LOOP
    BEGIN
      EXECUTE 'SELECT DISTINCT NULL::' || name;
    EXCEPTION WHEN undefined_function THEN
      found := found || name;
    END;
  END LOOP;
  PERFORM set_config('landbridge.incomparable', array_to_json(found)::text, false);
END $$;
SELECT current_setting('landbridge.incomparable')::json"""

DEFAULT, NOTHING, FULL, INDEX = "d", "n", "f", "i"

INCOMPARABLE = """\
Give {table} a primary key or a unique index of columns that are not null, or list it in\
 insert_only if no row of it is ever changed or deleted."""


class Name(NamedTuple):
    nspname: str
    relname: str

    def __str__(self) -> str:
        return f"{self.nspname}.{self.relname}"


class Identity(NamedTuple):
    """``kind`` as pg_class.relreplident has it; ``index`` where that says an index."""

    kind: str
    indexname: str = ""

    def clause(self) -> str:
        """Return it as ALTER TABLE … REPLICA IDENTITY wants it."""
        words = {DEFAULT: "DEFAULT", NOTHING: "NOTHING", FULL: "FULL"}
        return words.get(self.kind) or f"USING INDEX {ident(self.indexname)}"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the user's whose changes can be followed: permanent, and with rows of its own.

    ``indexes`` are those that could be its identity beside the key, the best first.
    """

    oid: int
    name: Name
    owner: str
    owned: bool  # by the connection's role, or one that it is a member of
    identity: Identity
    keyed: bool
    indexes: Sequence[str]
    columns: Sequence[tuple[str, str]]  # name and type


class Change(NamedTuple):
    name: Name
    before: Identity
    after: Identity

    def statement(self) -> str:
        return f"ALTER TABLE ONLY {qualified(*self.name)} REPLICA IDENTITY {self.after.clause()}"

    def line(self) -> str:
        """Return it for a diff."""
        return f"{self.name}: {self.before.clause()} -> {self.after.clause()}"


def read(conn: Connection) -> list[Table]:
    """Return every table that can be followed, by name."""
    return [
        Table(
            oid, Name(nspname, relname), owner, owned,
            Identity(kind, index if kind == INDEX else ""), keyed, indexes,
            list(columns),
        )
        for oid, nspname, relname, owner, owned, kind, keyed, index, indexes, columns
        in conn.execute(READ.encode())
    ]  # fmt: skip


def read_incomparable(conn: Connection, tables: Iterable[Table]) -> set[str]:
    """Return the types without equality among those of tables that need whole rows compared."""
    whole = (table for table in tables if _best(table).kind == FULL)
    types = sorted({type_ for table in whole for _unused, type_ in table.columns})
    if not types:
        return set()
    array = f"ARRAY[{', '.join(literal(each) for each in types)}]::text[]"
    cursor = conn.execute(COMPARABLE.replace("%s", array).encode(), prepare=False)
    cursor.nextset()
    ((found,),) = cursor
    return set(found)


def plan(tables: Iterable[Table]) -> list[Change]:
    """Return the changes that give every table an identity."""
    return [
        Change(table.name, table.identity, best)
        for table in tables
        if (best := _best(table)) != table.identity
    ]


def _best(table: Table) -> Identity:
    """Return the identity that a table should have: what it has, if that is one."""
    if table.identity.kind == FULL or (table.identity.kind == INDEX and table.identity.indexname):
        return table.identity
    if table.keyed:
        return Identity(DEFAULT)
    if table.indexes:
        return Identity(INDEX, table.indexes[0])
    return Identity(FULL)


def check(
    tables: Sequence[Table], incomparable: Collection[str], insert_only: Collection[str], user: str
) -> None:
    """Raise PreconditionError if a table cannot be followed.

    :param insert_only: names of tables whose rows are never changed or deleted.
    """
    check_owned(tables, user)
    for table in tables:
        if _best(table).kind != FULL or str(table.name) in insert_only:
            continue
        for column, type_ in table.columns:
            if type_ in incomparable:
                raise PreconditionError(
                    f"source: {table.name} has no key, and its rows cannot be told apart by"
                    f" comparing them: column {column} is of type {type_}, which has no equality",
                    hint=INCOMPARABLE.format(table=table.name),
                )


def check_owned(tables: Sequence[Table], user: str) -> None:
    """Raise PreconditionError if ``user`` may not publish a table: only its owner may."""
    strangers = [table for table in tables if not table.owned]
    if strangers:
        owners = sorted({ident(table.owner) for table in strangers})
        raise PreconditionError(
            f"source: {user} does not own {len(strangers)} tables, first {strangers[0].name},"
            " and only an owner may publish them",
            hint=f"GRANT {', '.join(owners)} TO {ident(user)}.",
        )
