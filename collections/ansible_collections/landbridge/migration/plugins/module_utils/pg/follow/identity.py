# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replica identities: by which columns a change names the row that it is of.

A table that is published without one refuses every UPDATE and DELETE, on the source and at once.
So each table gets an identity before it is published: its primary key, else a unique index of
columns that are never null, else the whole row. What was before is remembered in the source
itself, in the same transaction, and put back when nothing follows any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ...errors import PreconditionError
from ...waiting import Deadline, pauses, wait_for
from ..clone.relations import USER_SCHEMA
from ..text import ident, literal, qualified

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

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

MEMORY = """\
CREATE SCHEMA IF NOT EXISTS landbridge;
CREATE TABLE IF NOT EXISTS landbridge.identity (
  nspname name, relname name, relreplident "char" NOT NULL, indexname name NOT NULL,
  PRIMARY KEY (nspname, relname)
)"""
REMEMBERED = "SELECT to_regclass('landbridge.identity') IS NOT NULL"
REMEMBER = """\
INSERT INTO landbridge.identity VALUES ({nspname}, {relname}, {kind}, {index})
ON CONFLICT DO NOTHING"""
FORGET = "DELETE FROM landbridge.identity WHERE nspname = {nspname} AND relname = {relname}"
RECALL = """\
SELECT i.nspname::text, i.relname::text, i.relreplident::text, i.indexname::text,
       c.oid IS NOT NULL, to_regclass(format('%I.%I', i.nspname, i.indexname)) IS NOT NULL
  FROM landbridge.identity i
  LEFT JOIN pg_namespace n ON n.nspname = i.nspname
  LEFT JOIN pg_class c ON relnamespace = n.oid AND c.relname = i.relname
 ORDER BY 1, 2"""

DEFAULT, NOTHING, FULL, INDEX = "d", "n", "f", "i"

# The lock waits no longer than this: all that wants the table queues behind it.
LOCK_TIMEOUT_MS = 500
LOCK_NOT_AVAILABLE = "55P03"

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


class Remembered(NamedTuple):
    """What a table had before; ``there`` if it still exists, as does its index."""

    name: Name
    identity: Identity
    there: bool
    index_there: bool


def read(conn: Connection) -> list[Table]:
    """Return every table that can be followed, by name."""
    return [
        Table(
            oid, Name(nspname, relname), owner, owned,
            Identity(kind, index if kind == INDEX else ""), keyed, indexes,
            [(name, type_) for name, type_ in columns],
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


def converge(conn: Connection, changes: Sequence[Change], deadline: Deadline) -> None:
    """Give tables their identities, remembering those they had.

    The lock that this takes conflicts with all that goes on in a table, so it waits a moment
    only, and tries again. Raise DeadlineError if a table is never free for it.
    """
    if not changes:
        return
    conn.execute(MEMORY.encode())
    after = {change.name: change.after for change in changes}

    def left() -> list[str]:
        now = {table.name: table.identity for table in read(conn)}
        return [
            _made(each) for each in changes if now.get(each.name) not in (None, after[each.name])
        ]

    _patiently(conn, left, deadline)


def recall(conn: Connection) -> list[Remembered]:
    """Return what is remembered of the tables' own identities, by name."""
    if conn.execute(REMEMBERED).fetchone() != (True,):
        return []
    return [
        Remembered(Name(nspname, relname), Identity(kind, index), there, index_there)
        for nspname, relname, kind, index, there, index_there in conn.execute(RECALL)
    ]


def remember(conn: Connection, memory: Sequence[Remembered]) -> None:
    """Remember in a copy what its source's tables had before they were given what it has, too."""
    if memory:
        rows = [_remember(each.name, each.identity) for each in memory]
        text = ";\n".join(["BEGIN", MEMORY, *rows, "COMMIT"])
        conn.execute(text.encode(errors="surrogateescape"), prepare=False)


def restore(conn: Connection, deadline: Deadline) -> int:
    """Put back every table's own identity and return how many there were.

    Raise DeadlineError if a table is never free for it.
    """
    count = len(recall(conn))
    if count:
        _patiently(conn, lambda: [_put_back(each) for each in recall(conn)], deadline)
    return count


def _made(change: Change) -> str:
    """Return the transaction of one change."""
    return _transaction(_remember(change.name, change.before), change.statement())


def _remember(name: Name, identity: Identity) -> str:
    return REMEMBER.format(
        **_literals(name), kind=literal(identity.kind), index=literal(identity.indexname)
    )


def _put_back(each: Remembered) -> str:
    """Return the transaction that puts one table's identity back; its index may be gone since."""
    forget = FORGET.format(**_literals(each.name))
    if not each.there:
        return _transaction(forget)
    before = each.identity
    if before.kind == INDEX and not each.index_there:
        before = Identity(DEFAULT)
    return _transaction(Change(each.name, before, before).statement(), forget)


def _literals(name: Name) -> dict[str, str]:
    return {"nspname": literal(name.nspname), "relname": literal(name.relname)}


def _transaction(*statements: str) -> str:
    return ";\n".join(
        ["BEGIN", f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}", *statements, "COMMIT"]
    )


def _patiently(conn: Connection, left: Callable[[], list[str]], deadline: Deadline) -> None:
    """Run the transactions that are left until none is, as their tables become free."""

    def attempt() -> int:
        try:
            text = ";\n".join(left())
            conn.execute(text.encode(errors="surrogateescape"), prepare=False)
        except psycopg.Error as exc:
            conn.execute("ROLLBACK")
            if exc.sqlstate != LOCK_NOT_AVAILABLE:
                raise
        return len(left())

    wait_for(
        attempt,
        lambda count: count == 0,
        what="tables to be free for another replica identity",
        deadline=deadline,
        last_seen=lambda count: f"{count} are in use",
        between=pauses(0.1, 2.0),
    )
