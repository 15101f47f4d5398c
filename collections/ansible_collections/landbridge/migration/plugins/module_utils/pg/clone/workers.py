# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Do parts side by side: always the one with the highest rank whose needs are met.

Heavy workers take any part. Light ones take batches of small tables only: those wait for the
network, not for a processor, so there may be more of them the farther the servers are.
"""

from __future__ import annotations

import heapq
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from threading import Condition, Event, Thread
from typing import Protocol

from ...errors import LandbridgeError
from .copy import Stopped
from .part import BARRIER, BATCH, Part, ranks
from .queue import Outcome

TRIES = 3
TOO_MANY_CONNECTIONS = "53300"  # a small server: go on with the sessions there are
RETRIED = frozenset({"40P01", "40001", "55P03"})  # between our own sessions


class Worker(Protocol):
    """What does parts, one at a time; made in the thread that uses it."""

    def do(self, part: Part) -> Outcome: ...

    def recover(self) -> None:
        """Forget what an error may have spoilt."""

    def cancel(self) -> None:
        """End what the worker's own thread is waiting for; called from another."""


class Workers:
    """A pool for one run over ``parts``; ``done`` holds what earlier runs did."""

    def __init__(
        self,
        parts: Iterable[Part],
        done: Mapping[str, Outcome],
        make_worker: Callable[[Event, ExitStack], Worker],
    ) -> None:
        parts = list(parts)
        self.done = dict(done)
        self.stop = Event()
        self.running: dict[str, Part] = {}
        self.since: dict[str, float] = {}  # when each of those running was begun
        self._make_worker = make_worker
        self._workers: list[Worker] = []
        self._ranks = ranks(parts)
        self._left = {part.id: part for part in parts if part.id not in self.done}
        self._ready: list[tuple[float, str]] = []
        self._changed = Condition()
        self._error: Exception | None = None
        self._missing = {
            part.id: {need for need in part.needs if need in self._left}
            for part in self._left.values()
        }
        self._waiting: dict[str, list[str]] = defaultdict(list)
        for id_, needs in self._missing.items():
            for need in needs:
                self._waiting[need].append(id_)
        for id_ in [id_ for id_, needs in self._missing.items() if not needs]:
            self._release(id_)

    def run(self, heavy: int, light: int) -> dict[str, Outcome]:
        """Do every part. Raise the first error once all workers have ended."""
        batches = sum(part.kind == BATCH for part in self._left.values())
        light = min(light, batches)
        threads = [
            Thread(target=self._work, args=(False,), daemon=True) for _unused in range(heavy)
        ]
        threads += [
            Thread(target=self._work, args=(True,), daemon=True) for _unused in range(light)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            self.stop.set()
            with self._changed:
                self._changed.notify_all()
        if self._error:
            raise self._error
        return self.done

    def _work(self, light: bool) -> None:
        try:
            with ExitStack() as stack:
                worker = self._make_worker(self.stop, stack)
                self._workers.append(worker)
                while part := self._take(light):
                    try:
                        self._finish(part, self._do(worker, part))
                    except LandbridgeError as exc:
                        if not (light and exc.sqlstate == TOO_MANY_CONNECTIONS):
                            raise
                        self._give_back(part)
                        return
        except Stopped:
            pass
        except Exception as exc:
            self._fail(exc)

    def _fail(self, error: Exception) -> None:
        """Give everything up for the first error."""
        with self._changed:
            first = self._error is None
            self._error = self._error or error
            self.stop.set()
            self._changed.notify_all()
        if first:
            for worker in self._workers:
                worker.cancel()

    def _give_back(self, part: Part) -> None:
        """Leave a part to the other workers."""
        with self._changed:
            del self.running[part.id]
            self._release(part.id)
            self._changed.notify_all()

    def _do(self, worker: Worker, part: Part) -> Outcome:
        for tries_left in reversed(range(TRIES)):
            try:
                return worker.do(part)
            except LandbridgeError as exc:
                if self.stop.is_set():
                    raise Stopped("given up") from exc
                if exc.sqlstate not in RETRIED or not tries_left:
                    raise
                worker.recover()
        raise Stopped("given up")

    def _take(self, light: bool) -> Part | None:
        """Wait for a part that may be done now; None when there is nothing left to do."""
        with self._changed:
            while not self.stop.is_set():
                if part := self._pop(light):
                    self.running[part.id] = part
                    self.since[part.id] = time.monotonic()
                    return part
                if not self._left or (light and not self._batches_left()):
                    return None
                self._changed.wait()
        return None

    def _pop(self, light: bool) -> Part | None:
        passed_over = []
        found = None
        while self._ready and found is None:
            rank, id_ = heapq.heappop(self._ready)
            if light and self._left[id_].kind != BATCH:
                passed_over.append((rank, id_))
            else:
                found = self._left[id_]
        for each in passed_over:
            heapq.heappush(self._ready, each)
        return found

    def _batches_left(self) -> bool:
        return any(
            part.kind == BATCH and part.id not in self.running for part in self._left.values()
        )

    def _finish(self, part: Part, outcome: Outcome) -> None:
        with self._changed:
            del self.running[part.id]
            self._complete(part.id, outcome)
            self._changed.notify_all()

    def _release(self, id_: str) -> None:
        """Make ready what waits for nothing any more; a barrier is done by that alone."""
        if self._left[id_].kind == BARRIER:
            self._complete(id_, Outcome())
        else:
            heapq.heappush(self._ready, (-self._ranks[id_], id_))

    def _complete(self, id_: str, outcome: Outcome) -> None:
        self.done[id_] = outcome
        del self._left[id_]
        for waiting in self._waiting.pop(id_, ()):
            self._missing[waiting].discard(id_)
            if not self._missing[waiting] and waiting in self._left:
                self._release(waiting)
