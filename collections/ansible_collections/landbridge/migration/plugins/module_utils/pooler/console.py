# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A session of PgBouncer's admin console.

It understands one command a message, by the simple query protocol only, and takes no parameters
(admin.c). While PAUSE waits it is silent, so answers are waited for with a limit, which psycopg's
own execute() does not have; a prepared statement, which psycopg would make of the fifth, it
answers by closing.
"""

from __future__ import annotations

import select
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ..errors import DeadlineError
from ..pg.connection import connect, translated
from ..pg.text import ident
from ..waiting import Deadline

try:
    import psycopg
except ImportError:
    pass  # reported by connect()

if TYPE_CHECKING:
    from psycopg import pq

SIDE = "pooler"

# How long a command may take that waits for nobody.
ANSWER_S = 10.0

Row = Mapping[str, str | None]


def command(verb: str, name: str = "") -> str:
    """Return a command, such as ``PAUSE "shop"``."""
    return f"{verb} {ident(name)}" if name else verb


class Console:
    """One open session.

    >>> console = Console(server)
    >>> console.ask("SHOW DATABASES")[0]["name"]
    'shop'

    Raise PostgresError for what PgBouncer refuses, and if it does not answer.
    """

    def __init__(self, server: Mapping[str, Any]) -> None:
        self._stack = ExitStack()
        self._conn = self._stack.enter_context(connect(SIDE, server, pinned=False))
        self._pgconn = self._conn.pgconn
        self._due = False

    @property
    def closed(self) -> bool:
        return self._conn.closed

    def close(self) -> None:
        self._conn.close()  # or leaving the block would COMMIT, which the console does not know
        self._stack.close()

    def ask(self, statement: str) -> list[Row]:
        """Send a command; return its rows."""
        self.send(statement)
        return self.answer()

    def send(self, statement: str) -> None:
        """Send a command, whose answer is then due; one that is due already is let go."""
        if self._due:
            self.answer()
        with translated(SIDE):
            self._due = True
            self._pgconn.send_query(statement.encode())
            self._pgconn.flush()

    def answer(self, timeout_s: float = ANSWER_S) -> list[Row]:
        """Return the rows of the command sent. Raise DeadlineError if none come in time."""
        if not self.answered(timeout_s):
            raise DeadlineError(
                f"{SIDE}: no answer within {timeout_s:g} s",
                retryable=True,
                hint="Look whether PgBouncer still runs; its log tells what it does.",
            )
        with translated(SIDE):
            results = []
            while result := self._pgconn.get_result():
                results.append(result)
            self._due = False
            return [row for result in results for row in _rows(result)]

    def answered(self, timeout_s: float) -> bool:
        """Tell whether the answer is there, waiting for it up to ``timeout_s``."""
        return first_answered([self], timeout_s) is self

    def _busy(self) -> bool:
        with translated(SIDE):
            return bool(self._pgconn.is_busy())

    def _take_in(self) -> None:
        with translated(SIDE):
            self._pgconn.consume_input()


def first_answered(consoles: Sequence[Console], timeout_s: float) -> Console | None:
    """Return the first of those whose answer is there; None if that takes too long."""
    deadline = Deadline(timeout_s)
    poll = select.poll()
    by_socket = {console._pgconn.socket: console for console in consoles}
    for socket in by_socket:
        poll.register(socket, select.POLLIN)
    while True:
        for console in consoles:
            if not console._busy():
                return console
        ready = poll.poll(1000 * deadline.left_s)
        if not ready:
            return None
        for socket, _ in ready:
            by_socket[socket]._take_in()


def _rows(result: pq.abc.PGresult) -> list[Row]:
    if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(result)
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    return [
        {name: _text(result.get_value(row, column)) for column, name in enumerate(names)}
        for row in range(result.ntuples)
    ]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
