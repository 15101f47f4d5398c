# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Follow the JSON lines that a module writes while it works, and say them in one line each.

A module cannot talk while it runs: its stdout is its result. So it appends events to a file (the
protocol is in docs/reference/progress.md) and the controller reads the file as it grows. Lines may
come many a second and from many hosts; one each PERIOD_S and host is what a person can follow.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypedDict

from . import figures

PERIOD_S = 2.0
POLL_S = 0.25
NOTES_AT_END = 5
LONGEST = 240
TREND_BYTES_PER_S = 100_000  # less is how a steady lag varies


class Event(TypedDict, total=False):
    """One line of the file; a missing or null figure is not known (yet)."""

    time: str
    event: str
    database: str
    phase: str
    rows: int
    rows_total: int | None
    bytes: int
    bytes_total: int
    bytes_per_s: float
    parts_done: int
    parts_total: int
    eta_s: float | None
    lag_bytes: int
    lag_s: float | None
    lag_bytes_per_s: float
    message: str


def parse(line: bytes) -> Event | None:
    """Return the event of a line, or None if it is none: progress never breaks a task."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict) or not isinstance(event.get("event"), str):
        return None
    clean: Any = {key: event[key] for key in event if _well_typed(key, event[key])}
    return clean if "event" in clean else None


def _well_typed(key: str, value: Any) -> bool:
    if key in ("time", "event", "database", "phase", "message"):
        return isinstance(value, str)
    signed = key == "lag_bytes_per_s"
    known = key in Event.__annotations__ and isinstance(value, int | float)
    return known and (signed or value >= 0)


def describe(event: Event, name: str) -> str:
    """Return one printable line: `shop: copy 1,234,567 rows, 210 of 640 MB, 118 MB/s, …`."""
    done = event["event"] == "done"
    parts = [*_amounts(event, done=done)]
    if not done:
        parts += _outlook(event)
        parts += _lag(event)
    phase = "done" if done else event.get("phase", "")
    text = f"{phase} {', '.join(parts)}".strip()
    message = event.get("message", "")
    text = f"{text} ({message})" if text and message else text or message
    return _printable(f"{name}: {text}")


def _amounts(event: Event, *, done: bool) -> Iterable[str]:
    if event.get("rows"):
        yield figures.rows(event["rows"])
    size, total = event.get("bytes", 0), event.get("bytes_total", 0)
    if size < total and not done:
        yield figures.size_of(size, total)
    elif size:
        yield figures.size(size)
    if event.get("bytes_per_s"):
        yield figures.rate(event["bytes_per_s"])


def _outlook(event: Event) -> Iterable[str]:
    left = event.get("parts_total", 0) - event.get("parts_done", 0)
    if left > 0:
        yield f"{left} {'part' if left == 1 else 'parts'} left"
    eta_s = event.get("eta_s")
    if eta_s is not None:
        yield f"about {figures.whole_duration(max(eta_s, 1))} to go"


def _lag(event: Event) -> Iterable[str]:
    """Yield how far behind a follower is, and whether it comes nearer."""
    behind = event.get("lag_bytes")
    if behind is None:
        return
    lag_s = event.get("lag_s")
    after = "" if lag_s is None else f" or {figures.duration(lag_s)}"
    yield f"{figures.size(behind)}{after} behind"
    growth = event.get("lag_bytes_per_s", 0)
    if abs(growth) >= TREND_BYTES_PER_S:
        yield f"{'growing' if growth > 0 else 'falling'} by {figures.rate(abs(growth))}"


def _printable(text: str) -> str:
    """Keep a name with an escape sequence or a line break in it from painting the terminal."""
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


class Throttle:
    """Decide which lines are said: the newest progress, each note once, one line a period."""

    def __init__(self, name: str, period_s: float = PERIOD_S) -> None:
        self._name = name
        self._period_s = period_s
        self._said_at = float("-inf")
        self._progress: Event | None = None
        self._notes: list[Event] = []
        self._done: Event | None = None

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            kind = event["event"]
            if kind == "progress":
                self._progress = event
            elif kind == "note" and event.get("message"):
                self._notes.append(event)
            elif kind == "done":
                self._done = event

    def due(self, now: float) -> list[str]:
        """Return the line to say at this time: at most one, none within a period of the last."""
        if now - self._said_at < self._period_s:
            return []
        if self._notes:
            event = self._notes.pop(0)
        elif self._progress:
            event, self._progress = self._progress, None
        else:
            return []
        self._said_at = now
        return [describe(event, self._name)]

    def rest(self) -> list[str]:
        """Return what is still worth saying when the module has ended."""
        events = self._notes[:NOTES_AT_END]
        if self._done and (self._done.get("rows") or self._done.get("bytes")):
            events = [*events, self._done]
        return [describe(event, self._name) for event in events]


class Tail:
    """Read the complete lines that were appended to a file since the last read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0

    def read(self) -> list[Event]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [event for line in whole.splitlines() if (event := parse(line))]


class Follower(threading.Thread):
    """Say a file's events while it grows, from entering the `with` block until leaving it."""

    def __init__(
        self,
        tail: Tail,
        throttle: Throttle,
        say: Callable[[str], object],
        clock: Callable[[], float],
    ) -> None:
        super().__init__(name="progress", daemon=True)
        self._tail, self._throttle, self._say, self._clock = tail, throttle, say, clock
        self._ended = threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        # OSError: whom we talk to is gone (the run was killed), or the disk is full. The module's
        # own result tells of what matters.
        with suppress(OSError):
            while not self._ended.wait(POLL_S):
                self._throttle.take(self._tail.read())
                self._say_all(self._throttle.due(self._clock()))
            self._throttle.take(self._tail.read())
            self._say_all(self._throttle.rest())

    def _say_all(self, lines: list[str]) -> None:
        for line in lines:
            self._say(line)
