# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the journal's database is there, asked of the server itself.

libpq gives no SQLSTATE for a refused connection, and its message is in the server's language. So
when a connection is not made, another database of the server is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from ..errors import LandbridgeError, PostgresError, PreconditionError
from ..pg.connection import connect
from .schema import database_exists
from .store import Store

ABSENT = frozenset({"42P01", "3F000"})  # the database is there, the journal's tables are not
# Databases that are there before the journal: every server has one of them.
MAINTENANCE = ("postgres", "defaultdb", "template1")


def absent(error: PostgresError, server: Mapping[str, Any]) -> bool:
    """Tell if an error means that the journal does not exist yet."""
    if error.sqlstate in ABSENT:
        return True
    failed = getattr(error.__cause__, "pgconn", None)  # only of a connection that was never made
    if error.sqlstate is not None or failed is None:
        return False
    with maintenance(server, error) as conn:
        return not database_exists(conn, server["dbname"])


def refused(error: LandbridgeError) -> bool:
    """Tell if a server refused a connection after it had asked for the password."""
    pgconn = getattr(error.__cause__, "pgconn", None)
    return pgconn is not None and bool(pgconn.used_password)


@contextmanager
def maintenance(server: Mapping[str, Any], error: LandbridgeError | None = None) -> Iterator[Any]:
    """Open a connection to a database that is there before the journal.

    Raise ``error``, or else what the first one tried said, if none can be reached.
    """
    with ExitStack() as stack:
        for dbname in MAINTENANCE:
            try:
                conn = stack.enter_context(connect("journal", {**server, "dbname": dbname}))
                break
            except PostgresError as exc:
                error = error or exc
        else:
            raise error or PreconditionError("journal: no database to connect to")
        yield conn


def read_journal(server: Mapping[str, Any], migration: str | None) -> dict[str, Any]:
    """Return whether the journal exists, the migrations it knows, and the snapshot of one."""
    try:
        with connect("journal", server) as conn:
            store = Store(conn, migration or "", "")
            snapshot = store.snapshot() if migration else {}
            return {
                "journal": "present",
                "migrations": store.migrations(),
                "snapshot": snapshot,
            }
    except PostgresError as exc:
        if not absent(exc, server):
            raise
    return {"journal": "absent", "migrations": [], "snapshot": {}}
