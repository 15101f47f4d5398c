# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A side's session: open before anyone waits, opened again when it was lost.

Statements that belong together go as one simple query: however far away the server is, they cost
one round trip. A peer that has vanished is noticed in seconds, since applications wait meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

from ..connection import connect, translated

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

Rows = list[tuple[Any, ...]]

IMPATIENT = {
    "connect_timeout": "5",
    "keepalives_idle": "3",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}

CANCEL_S = 5.0

# A pid that has just gone is no news.
QUIET = "SET client_min_messages = error"


class Session:
    """One side's connection.

    >>> source = Session("source", server)
    >>> source.run("SELECT 1; SELECT 2, 3")
    [[(1,)], [(2, 3)]]
    """

    def __init__(self, name: str, server: Mapping[str, Any]) -> None:
        self.name = name
        self.server = server
        self._stack = ExitStack()
        self._conn: Connection | None = None

    @property
    def conn(self) -> Connection:
        """The connection, opened if there is none. Raise PostgresError if it cannot be."""
        if self._conn is None or self._conn.closed:
            self._stack.pop_all()
            opened = connect(self.name, {**self.server, **IMPATIENT})
            self._conn = self._stack.enter_context(opened)
            self._conn.prepare_threshold = None  # what is prepared here is prepared by name
            self._conn.execute(QUIET.encode())
        return self._conn

    def run(self, script: str) -> list[Rows]:
        """Run statements in one round trip; return the rows of those that have any."""
        with translated(self.name):
            cursor = self.conn.execute(script.encode())
            found = []
            while True:
                if cursor.description is not None:
                    found.append(cursor.fetchall())
                if not cursor.nextset():
                    return found

    def reset(self) -> None:
        """Leave a transaction that a failed script left open, or a connection that was lost."""
        if self._conn is None:
            return
        try:
            self._conn.rollback()
        except psycopg.Error:
            self.close()

    def cancel(self) -> None:
        """End what another thread runs here, if anything."""
        conn = self._conn
        if conn is not None and not conn.closed:
            conn.cancel_safe(timeout=CANCEL_S)

    def close(self) -> None:
        if self._conn is not None:
            self._conn.close()

    def do(self, call: Callable[[Connection], T]) -> T:
        """Return what ``call`` returns of the connection, its errors this side's."""
        with translated(self.name):
            return call(self.conn)


def both(first: Callable[[], T], second: Callable[[], T]) -> tuple[T, T]:
    """Return what both return, called at the same time; raise what the first raises, if it does."""
    with ThreadPoolExecutor(2) as pool:
        futures: Sequence[Future[T]] = [pool.submit(first), pool.submit(second)]
        return futures[0].result(), futures[1].result()
