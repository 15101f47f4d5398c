# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait until what is written to the source arrives soon, and goes on arriving soon."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...errors import DeadlineError, NotConvergedError
from ...waiting import Deadline
from ..clone.progress import Progress
from ..connection import translated
from . import canary
from .blocked import Errors, error
from .link import Link
from .observed import LinkState
from .request import Request
from .sides import Sides

READINGS = 3  # that many small ones after each other are steady
BETWEEN_S = 0.3
LOOK_S = 0.5  # how often it is looked whether a subscription still follows
WINDOW = 20
SHOWN = 100


class Lag(NamedTuple):
    """How far the target is behind.

    :param lag_s: how long a write took to arrive; None if it did not while it was waited for.
    :param readings: seconds since it was first looked at, and bytes, while it was waited for.
    """

    lag_bytes: int
    lag_s: float | None
    readings: Sequence[tuple[float, int]] = ()


class Trend:
    """How fast the lag changes, from its last readings."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._readings: deque[tuple[float, int]] = deque(maxlen=WINDOW)

    def add(self, lag_bytes: int) -> float:
        """Return the bytes a second by which the lag grows; less than 0 if it falls."""
        self._readings.append((self._clock(), lag_bytes))
        (then, before), (now, after) = self._readings[0], self._readings[-1]
        return (after - before) / (now - then) if now > then else 0.0


class Gauge:
    """Reads how far the target is behind.

    Raise NotConvergedError as soon as nothing comes any more, naming the change that stops it.
    """

    def __init__(self, sides: Sides, request: Request) -> None:
        self._sides = sides
        self._request = request
        self._errors = Errors(sides)

    def read(self) -> Lag:
        """Return the lag of the slowest link."""
        states = self._checked()
        lag_bytes = max((state.slot.lag_bytes for state in states if state.slot), default=0)
        if lag_bytes > self._request.lag_bytes:
            return Lag(lag_bytes, None)  # a write would arrive after all that
        return Lag(lag_bytes, self.beat(Deadline(2 * self._request.lag_s)))

    def beat(self, deadline: Deadline) -> float | None:
        """Return how long a write takes to arrive by every link; None if too long."""
        tokens = {state.link: canary.new_token() for state in self._checked()}
        statements = [canary.beat_statement(link, token) for link, token in tokens.items()]
        started = time.monotonic()
        with translated("source"):
            self._sides.source.execute("; ".join(statements).encode())
        if not all(self._arrives(link, token, deadline) for link, token in tokens.items()):
            return None
        return time.monotonic() - started

    def _arrives(self, link: Link, token: str, deadline: Deadline) -> bool:
        while not deadline.passed:
            try:
                with translated("target"):
                    canary.wait_arrived(self._sides.target, link, token, deadline.within(LOOK_S))
                return True
            except DeadlineError:
                self._checked()
        return False

    def _checked(self) -> list[LinkState]:
        """Return every link. Raise NotConvergedError if one is stopped."""
        states = self._sides.links()
        for state in states:
            if state.slot is None or state.subscription is None:
                raise NotConvergedError(f"target: {state.link.name} is not all there any more")
            if not state.enabled:
                raise NotConvergedError(
                    f"target: somebody has disabled {state.link.name}",
                    hint="Run pg_follow again to enable it.",
                )
        if found := self._errors.stopped(states):
            raise error(found)
        return states


def settle(gauge: Gauge, request: Request, progress: Progress) -> Lag:
    """Return the lag once it is steadily within what was asked.

    Raise DeadlineError if it does not become small in time.
    """
    deadline, trend, small = Deadline(request.timeout_s), Trend(), 0
    began = time.monotonic()
    readings: list[tuple[float, int]] = []
    while True:
        over = deadline.passed
        lag = gauge.read()
        readings.append((time.monotonic() - began, lag.lag_bytes))
        small = small + 1 if _within(lag, request) else 0
        progress.say(
            "progress", phase="following", lag_bytes=lag.lag_bytes, lag_s=lag.lag_s,
            lag_bytes_per_s=round(trend.add(lag.lag_bytes)),
        )  # fmt: skip
        if small == READINGS:
            thinned = readings[:: len(readings) // SHOWN + 1]
            return lag._replace(readings=thinned)
        if over:
            raise DeadlineError(
                f"waited {request.timeout_s:g} s for the target to follow; it is"
                f" {lag.lag_bytes} bytes behind",
                retryable=True,
                hint="Run again to wait on; if the lag does not fall, the source writes faster than"
                " the target applies: give that more memory or a faster disk.",
            )
        deadline.pause(BETWEEN_S)


def _within(lag: Lag, request: Request) -> bool:
    return lag.lag_bytes <= request.lag_bytes and (
        lag.lag_s is not None and lag.lag_s <= request.lag_s
    )
