# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two sessions that steer a copy: what they find out, and that no other run steers too.

The target's session holds an advisory lock for as long as the run lives. What a killed run left
behind on the target's server is ended: an index build goes on after its client is gone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import PostgresError, PreconditionError
from ...waiting import Deadline, pauses, wait_for
from ..connection import connect, translated
from ..endpoint import APPLICATION_NAME, Endpoint, endpoint
from . import activity, preconditions, queue, settings
from .part import Part
from .preconditions import Database
from .queue import Outcome, Record
from .request import Request

if TYPE_CHECKING:
    from psycopg import Connection

LOCK_NOT_AVAILABLE = "55P03"
LOCK_WAIT_MS = 10_000  # a killed run's session goes as soon as its server notices
ORPHANS_WAIT_S = 60.0

_LEFT = f"""\
  FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = '{APPLICATION_NAME}'
   AND usename = current_user AND pid <> pg_backend_pid()"""
TAKE_OVER = f"""\
SET lock_timeout = {{wait_ms}};
SELECT pg_advisory_lock(1279410265, 1129074510);
SET lock_timeout = 0;
SELECT pg_terminate_backend(pid) {_LEFT}"""
COUNT_ORPHANS = f"SELECT count(*) {_LEFT}"

# Small tables wait for the network: about 4 ms of work on the server for each on one processor.
SMALL_TABLE_MS = 4.0
MOST_SESSIONS = 16


@dataclass(frozen=True, slots=True)
class Sessions:
    """Both sessions, and both databases as they were found."""

    source: Connection
    target: Connection
    found: Database
    described: Database

    def record(self) -> Record | None:
        with translated("target"):
            return queue.read(self.target)

    def parts(self) -> tuple[list[Part], dict[str, Outcome]]:
        with translated("target"):
            return queue.load(self.target)

    def activity(self) -> activity.Activity:
        with translated("source"):
            return activity.read(self.source)

    def real_path(self) -> str:
        with translated("source"):
            return settings.search_path(settings.read(self.source))

    def check_alive(self) -> None:
        """Raise PostgresError if one of the sessions was lost."""
        for side, conn in (("source", self.source), ("target", self.target)):
            with translated(side):
                conn.execute("SELECT")

    @contextmanager
    def snapshot(self, held: Callable[[Connection], AbstractContextManager[str]]) -> Iterator[str]:
        """Hold a snapshot; after the block the source's session is out of its transaction."""
        with translated("source"):
            stack = ExitStack()
            name = stack.enter_context(held(self.source))
        with stack:
            yield name

    @contextmanager
    def endpoint(self, side: str, server: Mapping[str, Any]) -> Iterator[Endpoint]:
        conn = self.source if side == "source" else self.target
        more = {} if side == "source" else {"synchronous_commit": "off"}
        with endpoint(side, server, conn.info.server_version, **more) as found:
            yield found

    def small_sessions(self, jobs: int) -> int:
        """Return how many sessions keep small tables' round trips from adding up."""
        with ThreadPoolExecutor(2) as pool:
            found = [pool.submit(round_trip_ms, conn) for conn in (self.source, self.target)]
            with translated("a server"):
                return small_sessions(jobs, max(each.result() for each in found))


def sessions_of(request: Request, stack: ExitStack) -> Sessions:
    """Connect both sides, see that they fit, and keep other runs away."""

    def enter(side: str, server: Mapping[str, Any]) -> Connection:
        return stack.enter_context(connect(side, server))

    with ThreadPoolExecutor(2) as pool:  # two servers far away answer at the same time
        opened = [
            pool.submit(enter, "source", request.source),
            pool.submit(enter, "target", request.target),
        ]
        source, target = (each.result() for each in opened)
    found, described = preconditions.check(source, target)
    _take_over(target)
    return Sessions(source, target, found, described)


def _take_over(target: Connection) -> None:
    """Keep other runs away from this target, and end what a killed one left on it."""
    try:
        with translated("target"):
            cursor = target.execute(TAKE_OVER.format(wait_ms=LOCK_WAIT_MS).encode())
            while cursor.nextset():
                pass
            ended = cursor.fetchall()
            target.execute(f"SET application_name = '{APPLICATION_NAME}'".encode())
    except PostgresError as exc:
        if exc.sqlstate != LOCK_NOT_AVAILABLE:
            raise
        raise PreconditionError(
            "target: another copy into this database is running",
            hint="Wait for it to end, or end it.",
        ) from exc
    if ended:
        wait_for(
            lambda: _count(target),
            lambda count: count == 0,
            what="sessions of a killed copy to end",
            deadline=Deadline(ORPHANS_WAIT_S),
            between=pauses(0.02, 0.5),
        )


def _count(target: Connection) -> int:
    row = target.execute(COUNT_ORPHANS).fetchone()
    return int(row[0]) if row else 0


def round_trip_ms(conn: Connection) -> float:
    """Return the shortest of three round trips."""

    def once() -> float:
        started = time.perf_counter()
        conn.execute("SELECT")
        return (time.perf_counter() - started) * 1000

    return min(once() for _unused in range(3))


def small_sessions(jobs: int, rtt_ms: float) -> int:
    """Return how many sessions keep ``jobs`` processors busy with small tables at a distance."""
    return max(jobs, min(MOST_SESSIONS, math.floor(jobs * (1 + rtt_ms / SMALL_TABLE_MS))))
