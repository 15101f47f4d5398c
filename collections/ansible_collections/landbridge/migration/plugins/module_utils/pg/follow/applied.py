# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Up to where a subscription has applied its publisher's log.

The subscriber knows it as its replication origin's progress, which only a superuser may read, and
the publisher's slot hears of it later. But what sets the transaction to leave out refuses one that
was applied, and says which was the last.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..text import ident, literal

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

SKIPS = 150000  # ALTER SUBSCRIPTION … SKIP came with 15
SKIP = "ALTER SUBSCRIPTION {name} SKIP (lsn = {lsn})"
READ_SKIP = "SELECT subskiplsn::text FROM pg_subscription WHERE subname = %s"
NO_SKIP = "0/0"
LSN = re.compile(r"\b[0-9A-F]+/[0-9A-F]+\b")
BEGINNING = "0/1"
INVALID_PARAMETER = "22023"


def number(lsn: str) -> int:
    """Return a position as a number."""
    high, _unused, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def read(subscriber: Connection, name: str) -> int:
    """Return the position up to which ``name`` has applied all; 0 if that cannot be told."""
    if subscriber.info.server_version < SKIPS:
        return 0
    statement = SKIP.format(name=ident(name), lsn=literal(BEGINNING))
    try:
        with subscriber.transaction(force_rollback=True):
            subscriber.execute(statement.encode())
    except psycopg.Error as exc:
        if subscriber.broken:
            raise
        # The message is the server's own language's, the positions in it are not.
        told = LSN.findall(exc.diag.message_primary or "")
        last = next((each for each in reversed(told) if each != BEGINNING), None)
        return number(last) if last and exc.sqlstate == INVALID_PARAMETER else 0
    return 0


def read_skip(subscriber: Connection, name: str) -> str:
    """Return the position whose transaction will be left out; 0/0 if there is none."""
    if subscriber.info.server_version < SKIPS:
        return NO_SKIP
    row = subscriber.execute(READ_SKIP, [name]).fetchone()
    return str(row[0]) if row else NO_SKIP


def skip(subscriber: Connection, name: str, lsn: str) -> None:
    """Leave out the transaction that ends at ``lsn``, if it is the next that comes."""
    subscriber.execute(SKIP.format(name=ident(name), lsn=literal(lsn)).encode())
