# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting: one deadline, pauses with jitter, a predicate on what was read, a repeat that is safe.

Layered timeouts add up to no limit at all, so a task makes one Deadline and hands it down: each
request, pause and retry takes from what is left of it. Clock and sleep come in with it, so tests
of what waits do not wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import SystemRandom
from typing import TypeVar

from .errors import DeadlineError, LandbridgeError

T = TypeVar("T")

Clock = Callable[[], float]
Sleep = Callable[[float], None]

_uniform = SystemRandom().uniform


class Deadline:
    """The moment a task gives up, ``timeout_s`` from now; shared by all that it waits for.

    >>> deadline = Deadline(600)
    >>> wait_for(lambda: driver.read(name), ready, what="server x to be ready", deadline=deadline)
    """

    def __init__(
        self, timeout_s: float, *, clock: Clock = time.monotonic, sleep: Sleep = time.sleep
    ) -> None:
        self.timeout_s = timeout_s
        self._clock = clock
        self._sleep = sleep
        self._began = clock()

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._began

    @property
    def left_s(self) -> float:
        return max(0.0, self.timeout_s - self.elapsed_s)

    @property
    def passed(self) -> bool:
        return self.left_s <= 0

    def within(self, seconds: float) -> Deadline:
        """Return a deadline of its own, ``seconds`` from now but never after this one."""
        return Deadline(min(seconds, self.left_s), clock=self._clock, sleep=self._sleep)

    def pause(self, seconds: float) -> None:
        """Sleep ``seconds``, but never beyond the deadline."""
        self._sleep(min(seconds, self.left_s))


def pauses(first_s: float = 0.2, most_s: float = 5.0, growth: float = 1.6) -> Iterator[float]:
    """Yield seconds to pause: growing from ``first_s`` to ``most_s``, each shortened by chance.

    The chance (down to half) keeps many waiters from asking in step.
    """
    pause_s = first_s
    while True:
        yield _uniform(pause_s / 2, pause_s)
        pause_s = min(pause_s * growth, most_s)


def wait_for(
    read: Callable[[], T],
    done: Callable[[T], bool],
    *,
    what: str,
    deadline: Deadline,
    last_seen: Callable[[T], str] = str,
    between: Iterator[float] | None = None,
) -> T:
    """Read until ``done``; return what was read then.

    :param what: completes "waited for …", such as ``server shop to be ready``.
    :param last_seen: says of the last value what a person wants to know when time is up.

    Reads once more at the deadline itself, so that a long pause costs no answer. Raise
    DeadlineError, naming what was awaited, how long and what was seen last, if it does not come.
    """
    between = between or pauses()
    while True:
        over = deadline.passed
        value = read()
        if done(value):
            return value
        if over:
            raise DeadlineError(
                f"waited {deadline.timeout_s:g} s for {what}; last seen: {last_seen(value)}",
                retryable=True,
                hint="If it is still under way, run again: nothing done so far is lost.",
            )
        deadline.pause(next(between))


def transient(error: LandbridgeError) -> bool:
    """Tell if the error itself says that the same call may succeed later."""
    return error.retryable


def retry(
    call: Callable[[], T],
    *,
    deadline: Deadline,
    repeatable: Callable[[LandbridgeError], bool] = transient,
    between: Iterator[float] | None = None,
) -> T:
    """Return what ``call`` returns, calling again while it fails in a way that may heal.

    An error's ``retry_after_s`` (HTTP's Retry-After) lengthens the pause. Raise the last error
    unchanged when it is not ``repeatable`` or when no time is left: it says more than a timeout.
    """
    between = between or pauses()
    while True:
        try:
            return call()
        except LandbridgeError as error:
            pause_s = max(next(between), getattr(error, "retry_after_s", None) or 0.0)
            if not repeatable(error) or pause_s >= deadline.left_s:
                raise
            deadline.pause(pause_s)
