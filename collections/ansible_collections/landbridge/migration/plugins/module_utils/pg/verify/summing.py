# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The sums of many tables, by several sessions on each side at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING, Protocol

from ..catalog.catalog import Table
from . import checksum
from .checksum import Part, Sum
from .progress import VerifyProgress
from .side import Side

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

CANCEL_AGAIN_S = 0.2

Sums = dict[str, dict[tuple[str, str], Sum]]


class Effort(Protocol):
    """How hard to work; see verify.Options."""

    @property
    def jobs(self) -> int: ...
    @property
    def chunk_rows(self) -> int: ...


@dataclass(slots=True)
class _Work:
    """What is left to read of one side, and what was found."""

    side: Side
    queue: deque[list[Part]]
    sums: dict[tuple[str, str], Sum] = field(default_factory=dict)
    sessions: list[Connection] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    @contextmanager
    def registered(self, conn: Connection) -> Iterator[None]:
        with self.lock:
            self.sessions.append(conn)
        try:
            yield
        finally:
            with self.lock:
                self.sessions.remove(conn)

    def cancel(self) -> None:
        """End what the sessions are reading; a session may wait for a lock for ever."""
        with self.lock:
            for conn in self.sessions:
                with suppress(psycopg.Error):
                    conn.cancel()

    def add(self, parts: Sequence[Part], sums: Sequence[Sum]) -> None:
        with self.lock:
            for part, found in zip(parts, sums, strict=True):
                names = part.table.names
                self.sums[names] = self.sums.get(names, Sum()) + found


def sum_up(
    sides: tuple[Side, Side],
    tables: Sequence[tuple[Table, Table]],
    effort: Effort,
    progress: VerifyProgress,
) -> tuple[Sums, int]:
    """Return the sums of each side's tables, by side and name, and how many chunks were read."""
    works = []
    parts_count = 0
    for place, side in enumerate(sides):
        parts = [
            part
            for pair in tables
            for part in checksum.parts_of(pair[place], side.catalog.version, effort.chunk_rows)
        ]
        parts_count += len(parts)
        works.append(_Work(side, deque(checksum.batches(parts))))
    size_bytes = sum(part.size_bytes for work in works for batch in work.queue for part in batch)
    progress.start(parts=parts_count, size_bytes=size_bytes)
    _run(works, effort.jobs, progress)
    return {work.side.name: work.sums for work in works}, parts_count


def _run(works: Sequence[_Work], jobs: int, progress: VerifyProgress) -> None:
    """Empty the queues; the first error ends all sessions."""
    stop = Event()
    with ThreadPoolExecutor(max(1, jobs * len(works))) as pool:
        futures = [
            pool.submit(_read, work, stop, progress)
            for work in works
            for _unused in range(min(jobs, len(work.queue)))
        ]
        done, running = wait(futures, return_when=FIRST_EXCEPTION)
        stop.set()
        while running:  # a statement may only just begin when its session is told to end
            for work in works:
                work.cancel()
            _ended, running = wait(running, CANCEL_AGAIN_S)
    for future in [*done, *futures]:
        future.result()


def _read(work: _Work, stop: Event, progress: VerifyProgress) -> None:
    with work.side.session() as conn, work.registered(conn):
        while not stop.is_set():
            try:
                parts = work.queue.popleft()
            except IndexError:
                return
            sums = work.side.sums(conn, parts)
            work.add(parts, sums)
            rows = sum(each.rows for each in sums) if work.side.name == "source" else 0
            size_bytes = sum(part.size_bytes for part in parts)
            progress.add(rows=rows, size_bytes=size_bytes, parts=len(parts))
