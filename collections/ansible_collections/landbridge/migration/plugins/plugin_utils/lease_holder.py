# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The process that holds a run's lease for as long as ansible-playbook lives.

python -P lease_holder.py MIGRATION, the request as one line of JSON on its standard input:
`main_pid`, `main_fd` (a pidfd of it, or null), `conninfo` (null: there is no journal yet and the
lock file's descriptor, inherited, is the lease), `settings`, `migration`, `run`.
It answers one line of JSON and says nothing more. It watches two descriptors: the pidfd, readable
when ansible-playbook has ended however it ended, and the session's socket, readable when the
server went away or told it to let go.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any, TypeAlias

sys.path.insert(0, str(Path(__file__).resolve().parents[5]))

try:
    import psycopg
except ImportError:
    psycopg = None  # type: ignore[assignment]  # its starter has it

from ansible_collections.landbridge.migration.plugins.module_utils.journal import lease
from ansible_collections.landbridge.migration.plugins.module_utils.journal.records import Run

POLL_MS = 500  # without pidfds
PAUSES_MS = (100, 200, 400, 800, 1600)
LAST_WORDS_S = 10

Session: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"


class Main:
    """The ansible-playbook process."""

    def __init__(self, pid: int, fd: int | None) -> None:
        self._pid = pid
        self._fd = fd

    def ended_within(self, timeout_ms: int | None, *others: int) -> bool:
        """Wait for its end, for one of the other descriptors, or for the time; tell if it ended."""
        poll = select.poll()
        for fd in (*others, *([] if self._fd is None else [self._fd])):
            poll.register(fd, select.POLLIN)
        if self._fd is None:
            poll.poll(POLL_MS if timeout_ms is None else timeout_ms)
            return lease.process_started(self._pid) is None
        return any(event[0] == self._fd for event in poll.poll(timeout_ms))


def open_session(request: dict[str, Any]) -> Session:
    conn = psycopg.connect(request["conninfo"], autocommit=True)
    for statement in (*request["settings"], lease.KEEPALIVES, f"LISTEN {lease.CHANNEL}"):
        conn.execute(statement)
    return conn


def told_to_let_go(conn: Session, run_id: str) -> bool:
    """Read what the socket holds. Raise psycopg.Error if the server went away."""
    return any(notify.payload == run_id for notify in conn.notifies(timeout=0))


def hold(request: dict[str, Any], main: Main, conn: Session) -> None:
    """Return when the lease is to end, or cannot be had again after the server was lost."""
    run_id = request["run"]["run_id"]
    while True:
        try:
            while not main.ended_within(None, conn.fileno()):
                if told_to_let_go(conn, run_id):
                    return
            say_the_end(conn, run_id)
            return
        except psycopg.Error:
            conn.close()
            regained = regain(request, main)
            if regained is None:
                return
            conn = regained


def regain(request: dict[str, Any], main: Main) -> Session | None:
    """Return a new session with the lease; None when the main process or the right to it ended."""
    tries = 0
    while not main.ended_within(PAUSES_MS[min(tries, len(PAUSES_MS) - 1)]):
        tries += 1
        with contextlib.suppress(psycopg.Error):
            conn = open_session(request)
            migration, run_id = request["migration"]["migration"], request["run"]["run_id"]
            taken = lease.retake(conn, migration, run_id)
            if taken:
                return conn
            conn.close()
            if taken is None:
                return None
    return None


def say_the_end(conn: Session, run_id: str) -> None:
    """Write that the run ended; a server that does not answer now learns it from the silence."""
    signal.alarm(LAST_WORDS_S)
    conn.execute(lease.END_RUN, [run_id])
    conn.close()


def answer(**message: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(message).encode() + b"\n")
    silence = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(silence, fd)


def main() -> None:
    request = json.loads(sys.stdin.buffer.readline())
    watched = Main(request["main_pid"], request["main_fd"])
    if request["conninfo"] is None:
        answer(status="held")
        while not watched.ended_within(None):
            pass
    else:
        take_and_hold(request, watched)


def take_and_hold(request: dict[str, Any], main: Main) -> None:
    try:
        conn = open_session(request)
        taken = lease.take(conn, request["migration"], Run(**request["run"]))
    except psycopg.Error as exc:
        answer(status="error", message=str(exc), sqlstate=exc.sqlstate)
        return
    answer(status="held" if taken else "busy")
    if taken:
        hold(request, main, conn)


if __name__ == "__main__":
    main()
