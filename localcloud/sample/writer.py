"""One service's writer: a process whose connections write at a steady rate and never give up.

What was acknowledged is in the ledger only after COMMIT returned. What failed before COMMIT was
sent, or was refused by it, is tried again under the same key; what was lost at COMMIT is unknown
and is never tried again, as a client without idempotent requests would have to.
"""

from __future__ import annotations

import fcntl
import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import psycopg

from ..errors import Conflict
from . import names
from .ledger import ACKNOWLEDGED, CONNECTED, ERROR, INTENT, STARTED, STOPPED, UNKNOWN, Ledger
from .places import Places, folder
from .workload import WORKLOADS, Workload

Conn = psycopg.Connection[Any]

TTL_S = 1.0  # how long an address is believed, as a DNS record's time to live
PAUSES_S = (0.02, 0.25)  # after the first failure and at most
GRACE_S = 0.6  # for transactions under way when told to stop

# Of libpq: seconds and milliseconds. A peer that vanished is noticed soon.
LIMITS = {"connect_timeout": 3, "tcp_user_timeout": 5000, "keepalives_idle": 5}


class CommitError(Exception):
    """COMMIT did not commit; ``unknown`` if it may have."""

    def __init__(self, cause: psycopg.Error | None, message: str, *, unknown: bool) -> None:
        super().__init__(message)
        self.sqlstate = cause.sqlstate if cause else None
        self.unknown = unknown


def commit(conn: Conn) -> None:
    """Commit the open transaction. Raise CommitError if it is not, or may not be, committed."""
    try:
        cursor = conn.execute("COMMIT")
    except psycopg.Error as exc:
        # A session that lives on has rolled back. A lost one may have committed before: also
        # with a SQLSTATE, as terminate tells it while COMMIT waits for a synchronous standby.
        raise CommitError(exc, str(exc), unknown=conn.closed or conn.broken) from exc
    if cursor.statusmessage != "COMMIT":
        raise CommitError(None, f"COMMIT answered {cursor.statusmessage}", unknown=False)


class Connection(threading.Thread):
    """One connection's worth of writing, until ``stop`` is set."""

    def __init__(
        self, number: int, name: str, places: Places, ledger: Ledger, every_s: float,
        stop: threading.Event,
    ) -> None:  # fmt: skip
        super().__init__(name=f"{name} {number}", daemon=True)
        self._service = name
        self._workload: Workload = WORKLOADS[name]
        self._places = places
        self._ledger = ledger
        self._every_s = every_s
        self._stop_asked = stop
        self._chance = random.Random()  # noqa: S311  # a load, no secret
        self._number = number
        self._conn: Conn | None = None
        self._address: names.Address | None = None
        self._resolve_at = 0.0

    def run(self) -> None:
        due = time.monotonic() + self._chance.uniform(0, self._every_s)
        while not self._stop_asked.wait(max(0.0, due - time.monotonic())):
            self._write()
            # After an outage go on at the usual rate; what was not written is not made up for.
            due = max(due + self._every_s, time.monotonic())
        self._disconnect()

    def _write(self) -> None:
        """Do one write, however long it takes, until it is acknowledged or unknown."""
        key, started = uuid.uuid4(), time.monotonic()
        pause_s, longest_s = PAUSES_S
        while not self._stop_asked.is_set():
            if self._attempt(key, started):
                return
            self._stop_asked.wait(pause_s * self._chance.uniform(0.5, 1))
            pause_s = min(2 * pause_s, longest_s)

    def _attempt(self, key: uuid.UUID, started: float) -> bool:
        """Try once. Return whether the write is settled."""
        try:
            self._perform(key)
        except CommitError as exc:
            facts = {"sqlstate": exc.sqlstate, "message": str(exc), "key": str(key)}
            self._note(UNKNOWN if exc.unknown else ERROR, **facts)
            self._disconnect()
            return exc.unknown
        except psycopg.Error as exc:
            self._note(ERROR, sqlstate=exc.sqlstate, message=str(exc))
            self._disconnect()
            return False
        wait_ms = round(1000 * (time.monotonic() - started), 1)
        self._note(ACKNOWLEDGED, key=str(key), wait_ms=wait_ms)
        return True

    def _perform(self, key: uuid.UUID) -> None:
        conn = self._connected()
        conn.execute("BEGIN")
        rows = self._workload.perform(conn, key, self._chance)
        self._note(INTENT, key=str(key), rows=rows)
        commit(conn)

    def _connected(self) -> Conn:
        """Return the session, a new one if the name has another address by now."""
        if self._conn is None or time.monotonic() >= self._resolve_at:
            address = names.resolve(self._places, self._service)
            self._resolve_at = time.monotonic() + TTL_S
            if self._conn is None or address != self._address:
                self._disconnect()
                self._conn = self._connect(address)
        return self._conn

    def _connect(self, address: names.Address) -> Conn:
        title = {"application_name": f"{self._service} service"}
        keywords: dict[str, Any] = {**address.keywords(), **LIMITS, **title}
        conn: Conn = psycopg.connect(**keywords, **names.STATELESS, autocommit=True)
        self._address = address
        self._note(CONNECTED, host=address.host, port=address.port)
        return conn

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _note(self, event: str, **facts: Any) -> None:
        self._ledger.append(event, connection=self._number, **facts)


def run(name: str, places: Places, *, rate: float, connections: int) -> int:
    """Write to ``name``'s database until SIGTERM or SIGINT. Return the exit status."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _only_one(places, name), Ledger(places.ledger(name)) as ledger:
        ledger.append(STARTED, pid=os.getpid(), rate=rate, connections=connections)
        threads = [
            Connection(number, name, places, ledger, connections / rate, stop)
            for number in range(connections)
        ]
        failed = _until_stopped(threads, stop)
        ledger.append(STOPPED, pid=os.getpid())
    return int(failed)


def _until_stopped(threads: list[Connection], stop: threading.Event) -> bool:
    """Run the threads. Return whether one of them ended by itself, which is a defect."""
    for thread in threads:
        thread.start()
    while not stop.wait(0.2) and all(thread.is_alive() for thread in threads):
        pass
    failed = not stop.is_set()
    stop.set()
    deadline = time.monotonic() + GRACE_S
    for thread in threads:
        # One that still waits for a lost server ends with the process; its intent is unknown.
        thread.join(max(0.0, deadline - time.monotonic()))
    return failed


@contextmanager
def _only_one(places: Places, name: str) -> Iterator[None]:
    """Hold the writer's lock file, our pid in it. Raise Conflict if another process has it."""
    with folder(places.lock(name)).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Conflict(f"{name}: a writer runs already") from exc
        _put(file, f"{os.getpid()}\n")
        yield
        _put(file, "")


def _put(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
