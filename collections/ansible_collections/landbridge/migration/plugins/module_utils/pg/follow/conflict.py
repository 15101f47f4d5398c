# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which row stops a subscription, and why: found without the server's log, which is not ours.

A subscription that meets an error counts it, tries again after some seconds and says no more. Its
slot still has the transaction, though: it is read there without being consumed, and done once more
on the subscriber in a transaction that is rolled back. What fails then is what failed before, in
the server's own words. Transactions that were applied and not yet confirmed come first in the slot
and are passed over; where the subscriber does not tell which those are, a row that is there
already, in all its values, was one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ...waiting import Deadline
from . import applied
from .pgoutput import Change, Relation, Row, Transaction, transactions

try:
    import psycopg
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

# Looked at: a transaction that is larger is found, after this much of it, by no one here.
MOST_CHANGES = 1000
MOST_MESSAGES = 5000
PATIENCE_S = 5
PATIENCE = f"{PATIENCE_S}s"

PEEK = """\
SELECT data
  FROM pg_logical_slot_peek_binary_changes(
         %s, NULL, %s, 'proto_version', '1', 'publication_names', quote_ident(%s){origin})
 LIMIT %s"""

# What came from this subscriber itself is not sent back to it.
ORIGIN = ", 'origin', 'none'"
ORIGIN_SINCE = 160000

# Classes of errors that say nothing of the change: it waited in vain, or the server had no room.
PASSING = ("40", "53", "55", "57")

# A key that is GENERATED ALWAYS is changed when changes are applied, and by no statement.
GENERATED_ALWAYS = "428C9"

HAS_TRIGGERS = """\
SELECT FROM pg_trigger WHERE tgrelid = to_regclass(format('%%I.%%I', %s::text, %s::text))
   AND NOT tgisinternal LIMIT 1"""

SHOWN = 80  # characters of a key's value


class Conflict(NamedTuple):
    """
    :param change: such as ``INSERT into public.orders (id = 5)``.
    :param error: the server's words for it.
    :param final_lsn: what the transaction is skipped by.
    """

    change: str
    error: str
    final_lsn: str

    def __str__(self) -> str:
        return f"{self.change}: {self.error}"


def find(publisher: Connection, subscriber: Connection, name: str) -> Conflict | None:
    """Return what stopped the subscription ``name``, or None if that cannot be told.

    Needs the right to replicate on the publisher and to write on the subscriber; changes nothing.
    """
    try:
        with publisher.transaction(force_rollback=True):
            publisher.execute(f"SET LOCAL statement_timeout = '{PATIENCE}'".encode())
            peek = PEEK.format(origin=_origin(publisher)).encode()
            rows = publisher.execute(peek, [name, MOST_CHANGES, name, MOST_MESSAGES]).fetchall()
        after = applied.read(subscriber, name)
        skipped = applied.read_skip(subscriber, name)
        with subscriber.transaction(force_rollback=True):
            subscriber.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'".encode())
            coming = [
                each
                for each in transactions(bytes(data) for (data,) in rows)
                if applied.number(each.final_lsn) >= after and each.final_lsn != skipped
            ]
            return _first_failing(subscriber, coming)
    except psycopg.Error:
        if publisher.broken or subscriber.broken:
            raise
        return None  # the slot is in use again, or a right is missing: only the log knows


def _origin(publisher: Connection) -> str:
    return ORIGIN if publisher.info.server_version >= ORIGIN_SINCE else ""


def _first_failing(subscriber: Connection, coming: Sequence[Transaction]) -> Conflict | None:
    silenced: set[str] = set()
    deadline = Deadline(PATIENCE_S)
    for transaction in coming:
        for change in transaction.changes:
            if deadline.passed:  # the worker waits for the rows that this has touched
                return None
            if (table := str(change.relation)) not in silenced:
                _silence(subscriber, change.relation)
                silenced.add(table)
            if error := _error_of(subscriber, change):
                return Conflict(_described(change), error, transaction.final_lsn)
    return None


def _silence(subscriber: Connection, relation: Relation) -> None:
    """Let no trigger of the user's do anything, as it would not when a change is applied."""
    if subscriber.execute(HAS_TRIGGERS, [relation.nspname, relation.relname]).fetchone() is None:
        return  # a lock on the whole table is spared
    table = sql.Identifier(relation.nspname, relation.relname)
    statement = sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(table)
    try:
        with subscriber.transaction():
            subscriber.execute(statement)
    except psycopg.errors.UndefinedTable:
        pass  # the change itself will say so


def _error_of(subscriber: Connection, change: Change) -> str:
    """Return what the server says to a change; empty if it takes it, or has it."""
    try:
        with subscriber.transaction():
            subscriber.execute(*_statement(change))
    except psycopg.errors.ForeignKeyViolation:
        return ""  # not looked at when changes are applied
    except psycopg.errors.UniqueViolation as exc:
        return "" if _is_there(subscriber, change) else _words(exc)
    except psycopg.Error as exc:
        if subscriber.broken:
            raise
        passing = (*PASSING, GENERATED_ALWAYS)
        return "" if (exc.sqlstate or "").startswith(passing) else _words(exc)
    return ""


def _is_there(subscriber: Connection, change: Change) -> bool:
    same = [sql.SQL("{}::text IS NOT DISTINCT FROM %s").format(_name(name)) for name in change.row]
    query = sql.SQL("SELECT FROM {} WHERE {} LIMIT 1")
    query_ = query.format(_table(change.relation), sql.SQL(" AND ").join(same))
    return subscriber.execute(query_, list(change.row.values())).fetchone() is not None


def _statement(change: Change) -> tuple[sql.Composed, list[Any]]:
    table = _table(change.relation)
    if change.kind == "INSERT":
        names = sql.SQL(", ").join(map(_name, change.row))
        values = sql.SQL(", ").join(sql.Placeholder() * len(change.row))
        insert = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})")
        return insert.format(table, names, values), list(change.row.values())
    where = sql.SQL(" AND ").join(_equal(*each) for each in change.key.items())
    key = [value for value in change.key.values() if value is not None]
    if change.kind == "DELETE":
        return sql.SQL("DELETE FROM {} WHERE {}").format(table, where), key
    # A key that stays is not assigned: where it is GENERATED ALWAYS, no statement may.
    row = {n: value for n, value in change.row.items() if (n, value) not in change.key.items()}
    assigned = sql.SQL(", ").join(sql.SQL("{} = %s").format(_name(name)) for name in row)
    update = sql.SQL("UPDATE {} SET {} WHERE {}").format(table, assigned, where)
    return (update, [*row.values(), *key]) if row else (sql.SQL("SELECT").format(), [])


def _equal(name: str, value: str | None) -> sql.Composed:
    # IS NOT DISTINCT FROM would use no index.
    return sql.SQL("{} IS NULL" if value is None else "{} = %s").format(_name(name))


def _table(relation: Relation) -> sql.Composable:
    return sql.SQL(".").join([_name(relation.nspname), _name(relation.relname)])


def _name(name: str) -> sql.Identifier:
    return sql.Identifier(name.replace("%", "%%"))  # what stands beside placeholders


def _described(change: Change) -> str:
    word = {"INSERT": "INSERT into", "UPDATE": "UPDATE of", "DELETE": "DELETE from"}[change.kind]
    return f"{word} {change.relation} ({_shown(change.key)})"


def _shown(key: Row) -> str:
    """Return a key as a person reads it: never the other values of a row."""
    return ", ".join(f"{name} = {str(value)[:SHOWN]}" for name, value in key.items()) or "no key"


def _words(exc: psycopg.Error) -> str:
    # The detail may hold a whole row.
    return exc.diag.message_primary or type(exc).__name__
