# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Set replica identities so that they can be put back.

What a table had before is remembered in its own database, in the transaction that changes it. The
copy has the source's identities, so it gets the source's memory, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...waiting import Deadline, pauses, wait_for
from ..text import literal
from .identity import DEFAULT, INDEX, Change, Identity, Name, read

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

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

# The lock waits no longer than this: all that wants the table queues behind it.
LOCK_TIMEOUT_MS = 500
LOCK_NOT_AVAILABLE = "55P03"


class Remembered(NamedTuple):
    """What a table had before; ``there`` if it still exists, as does its index."""

    name: Name
    identity: Identity
    there: bool
    index_there: bool


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
