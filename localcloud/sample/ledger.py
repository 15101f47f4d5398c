"""The ledger of a service's writes: an append-only file of JSON lines, one event each.

A write's `intent` is in the file before COMMIT is sent, and its outcome only after the answer:

    acknowledged  COMMIT returned: the rows must be there, each exactly once
    unknown       the connection was lost at COMMIT: all of the rows or none
    error         with a key: the server refused the COMMIT: none of the rows

An intent that no outcome follows (its writer was killed) is unknown too. A line reaches the
operating system before its writer goes on, and the disk twice a second.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from .places import folder

SYNC_EVERY_S = 0.5

ACKNOWLEDGED, UNKNOWN, ERROR = "acknowledged", "unknown", "error"
INTENT, CONNECTED, STARTED, STOPPED = "intent", "connected", "started", "stopped"


def now() -> str:
    """Return the time as the ledger writes it: UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


class Ledger:
    """A ledger open for appending, by any number of threads.

    with Ledger(path) as ledger:
        ledger.append("intent", connection=0, key=key, rows={"orders": 1})
    """

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        self._fd = os.open(folder(path), flags, 0o600)
        self._lock = threading.Lock()
        self._closed = False
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync, daemon=True)

    def __enter__(self) -> Ledger:
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")  # a line was cut off; it stays one damaged line
        self._syncer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._closing.set()
        self._dirty.set()
        self._syncer.join()
        with self._lock:
            self._closed = True
            os.fsync(self._fd)
            os.close(self._fd)

    def append(self, event: str, **facts: Any) -> None:
        """Write one event, whole, with its time; nothing once the ledger is closed."""
        line = json.dumps({"time": now(), "event": event, **facts}, separators=(",", ":"))
        with self._lock:
            if not self._closed:
                os.write(self._fd, line.encode() + b"\n")
        self._dirty.set()

    def _sync(self) -> None:
        while self._dirty.wait() and not self._closing.wait(SYNC_EVERY_S):
            self._dirty.clear()
            os.fdatasync(self._fd)


@dataclass(frozen=True, slots=True)
class Write:
    """One write as the ledger knows it: its outcome and the rows it has in each table."""

    outcome: str
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Outage:
    """A time in which a connection's writes were refused, until one was accepted again."""

    start: datetime
    end: datetime | None  # None: refused to this day

    @property
    def seconds(self) -> float | None:
        return (self.end - self.start).total_seconds() if self.end else None


@dataclass(slots=True)
class Record:
    """What a ledger says, read from its first line to its last."""

    writes: dict[str, Write] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)  # sqlstate, or what no state tells
    longest_wait_ms: float = 0.0
    damaged: int = 0
    last_acknowledged: datetime | None = None
    last_address: str | None = None  # where that was
    _addresses: dict[int, str] = field(default_factory=dict)
    _refused_since: dict[int, datetime] = field(default_factory=dict)
    _outages: list[Outage] = field(default_factory=list)

    def keys(self, *outcomes: str) -> list[str]:
        return [key for key, write in self.writes.items() if write.outcome in outcomes]

    @property
    def refused_since(self) -> datetime | None:
        """Since when no connection gets through, or None if one does."""
        return min(self._refused_since.values(), default=None)

    @property
    def outages(self) -> list[Outage]:
        """Every outage, in order; those of several connections at the same time are one."""
        still = [Outage(start, None) for start in self._refused_since.values()]
        return merge(self._outages + still)

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in the next event."""
        time = datetime.fromisoformat(event["time"])
        match event["event"]:
            case "connected":
                self._addresses[event["connection"]] = f"{event['host']}:{event['port']}"
            case "intent":
                self.writes[event["key"]] = Write(INTENT, event["rows"])
            case "acknowledged":
                self._acknowledge(event, time)
            case "unknown" | "error":
                self._refuse(event, time)
            case "started" | "stopped":
                self._pause(time)

    def _acknowledge(self, event: Mapping[str, Any], time: datetime) -> None:
        self._settle(event["key"], ACKNOWLEDGED)
        self.longest_wait_ms = max(self.longest_wait_ms, event["wait_ms"])
        self.last_acknowledged = time
        self.last_address = self._addresses.get(event["connection"])
        if since := self._refused_since.pop(event["connection"], None):
            self._outages.append(Outage(since, time))

    def _refuse(self, event: Mapping[str, Any], time: datetime) -> None:
        state = event.get("sqlstate") or "connection"
        self.errors[state] = self.errors.get(state, 0) + 1
        self._refused_since.setdefault(event["connection"], time)
        if key := event.get("key"):
            self._settle(key, event["event"])

    def _settle(self, key: str, outcome: str) -> None:
        intent = self.writes.get(key)  # None only if its line is damaged, which is counted
        self.writes[key] = Write(outcome, intent.rows if intent else {})

    def _pause(self, time: datetime) -> None:
        """End every outage at a writer's start or end: what nobody tries is not refused."""
        self._outages += [Outage(since, time) for since in self._refused_since.values()]
        self._refused_since.clear()


def merge(outages: list[Outage]) -> list[Outage]:
    """Return the union of times, in order."""
    merged: list[Outage] = []
    for outage in sorted(outages, key=lambda each: each.start):
        last = merged[-1] if merged else None
        if last is None or (last.end is not None and outage.start > last.end):
            merged.append(outage)
        elif last.end is not None and (outage.end is None or outage.end > last.end):
            merged[-1] = Outage(last.start, outage.end)
    return merged


def size(path: Path) -> int:
    """Return how long the ledger is, for reading from there on."""
    return path.stat().st_size if path.exists() else 0


def read(path: Path, start: int = 0) -> Record:
    """Return what the ledger in ``path`` says from byte ``start`` on; nothing if there is none."""
    record = Record()
    for event in _events(path, start):
        if event is None:
            record.damaged += 1
        else:
            record.take(event)
    return record


def _events(path: Path, start: int) -> Iterator[dict[str, Any] | None]:
    if not path.exists():
        return
    with path.open("rb") as file:
        file.seek(start)
        for line in file:
            if not line.endswith(b"\n"):
                return  # it is being written
            try:
                yield json.loads(line)
            except ValueError:
                yield None
