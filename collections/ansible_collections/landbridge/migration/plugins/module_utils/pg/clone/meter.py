# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a copy is: what is done, what the target says of COPYs under way, and how long yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..text import qualified
from .part import BARRIER, Part, ranks
from .queue import Outcome
from .workers import Workers

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

COPYING = """\
SELECT nspname, relname, tuples_processed, bytes_processed
  FROM pg_stat_progress_copy
  JOIN pg_class ON pg_class.oid = relid
  JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE datname = current_database()"""
HAS_PROGRESS = 140000
WINDOW = 10

# Predictions count as if this many seconds of them had come true.
PRIOR_S = 1.0


class Meter:
    """Reads a run's figures; what it asks the target costs a few milliseconds a second."""

    def __init__(
        self,
        parts: Sequence[Part],
        workers: Workers,
        target: Connection,
        jobs: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts = [part for part in parts if part.kind != BARRIER]
        self._ranks = ranks(parts)
        self._workers = workers
        self._target = target
        self._jobs = jobs
        self._clock = clock
        self._done_before = frozenset(workers.done)
        self._readings: list[tuple[float, int]] = []
        expected = [self._rows_expected(part) for part in self._parts]
        known = [rows for rows in expected if rows is not None]
        self._rows_total = sum(known) if len(known) == len(expected) else None

    @staticmethod
    def _rows_expected(part: Part) -> int | None:
        rows: int | None = part.payload.get("rows_expected", 0)
        return None if part.kind == "batch" else rows

    def read(self) -> dict[str, Any]:
        """Return the figures of a progress event."""
        done = dict(self._workers.done)
        running = list(self._workers.running.values())
        under_way = self._under_way()
        shares = {part.id: _share(part, _copied(part, under_way)) for part in running}
        size = sum(part.bytes for part in self._parts if part.id in done)
        size += sum(int(part.bytes * shares[part.id]) for part in running)
        rows = sum(outcome.rows for outcome in done.values())
        rows += sum(_copied(part, under_way)[0] for part in running)
        return {
            "phase": _phase(running),
            "rows": rows,
            "rows_total": self._rows_total,
            "bytes": size,
            "bytes_total": sum(part.bytes for part in self._parts),
            "bytes_per_s": round(self._rate(size)),
            "parts_done": sum(part.id in done for part in self._parts),
            "parts_total": len(self._parts),
            "eta_s": self._eta_s(done, shares),
        }

    def _under_way(self) -> Mapping[str, tuple[int, int]]:
        """Return rows and bytes of the COPYs under way, by table, as far as they are told."""
        try:
            if self._target.info.server_version < HAS_PROGRESS:
                return {}
            return {
                qualified(nspname, relname): (rows, size)
                for nspname, relname, rows, size in self._target.execute(COPYING)
            }
        except psycopg.Error:  # the copy itself will say what is wrong
            return {}

    def _rate(self, size: int) -> float:
        self._readings = [*self._readings[-WINDOW:], (self._clock(), size)]
        (then, before), (now, after) = self._readings[0], self._readings[-1]
        return max(0.0, (after - before) / (now - then)) if now > then else 0.0

    def _eta_s(self, done: Mapping[str, Outcome], shares: Mapping[str, float]) -> float:
        """Return the longer of the longest chain and the work left, at the speed seen so far."""
        took_s = predicted_s = PRIOR_S
        work_s = chain_s = 0.0
        for part in self._parts:
            if part.id in done:
                if part.id not in self._done_before:
                    took_s += done[part.id].elapsed_s
                    predicted_s += part.cost_s
                continue
            left_s = self._left_s(part, shares.get(part.id))
            work_s += left_s
            chain_s = max(chain_s, self._ranks[part.id] - part.cost_s + left_s)
        return round(max(chain_s, work_s / self._jobs) * took_s / predicted_s, 1)

    def _left_s(self, part: Part, share: float | None) -> float:
        """Return what is left of a part's predicted cost; ``share`` is None before it runs."""
        if share is None:
            return part.cost_s
        if share == 0.0:  # nobody tells how far it is
            passed_s = self._clock() - self._workers.since.get(part.id, self._clock())
            share = min(0.9, passed_s / part.cost_s) if part.cost_s else 0.0
        return part.cost_s * (1 - share)


def _copied(part: Part, under_way: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    return under_way.get(part.payload.get("target", ""), (0, 0))


def _share(part: Part, copied: tuple[int, int]) -> float:
    """Return how much of a part under way is done, at most all of it."""
    rows, size = copied
    if expected := part.payload.get("rows_expected"):
        return min(1.0, float(rows) / float(expected))
    return min(1.0, size / part.bytes) if part.bytes else 0.0


def _phase(running: Sequence[Part]) -> str:
    """Return the phase of the earliest kind that is under way."""
    order = ("copy", "index", "constraints", "statistics", "foreign keys", "materialized views")
    under_way = {part.phase for part in running}
    return next((phase for phase in order if phase in under_way), "finish")
