"""Start, stop and look at the writers: a process a service, known by the lock it holds."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from .. import processes
from ..errors import LocalCloudError
from ..home import checkout
from . import ledger, names
from .places import Places, folder

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Status:
    """One writer: ``pid`` is None if it does not run."""

    name: str
    pid: int | None
    address: str
    acknowledged: int
    unknown: int
    errors: int
    longest_wait_ms: float
    last_acknowledged: datetime | None
    refused_since: datetime | None


def status(places: Places, name: str) -> Status:
    """Return what a writer does, from its lock and its ledger."""
    record = ledger.read(places.ledger(name))
    address = names.read(places).get(name)
    return Status(
        name=name,
        pid=running(places, name),
        address=f"{address.host}:{address.port}" if address else "",
        acknowledged=len(record.keys(ledger.ACKNOWLEDGED)),
        unknown=len(record.keys(ledger.UNKNOWN)),
        errors=sum(record.errors.values()),
        longest_wait_ms=record.longest_wait_ms,
        last_acknowledged=record.last_acknowledged,
        refused_since=record.refused_since,
    )


def running(places: Places, name: str) -> int | None:
    """Return the pid of the process that holds the writer's lock, or None."""
    try:
        file = places.lock(name).open()
    except FileNotFoundError:
        return None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read().strip()
            return int(text) if text else None  # it has just started, or is about to end
    return None


def start(
    places: Places, chosen: Sequence[str], *, rate: float, connections: int, wait: bool = True
) -> list[str]:
    """Start the writers that do not run. Return their names, once each has written something.

    :param wait: wait for the first acknowledged write; else only until each runs.

    Raise LocalCloudError with the writer's own words if one ends or does not get through.
    """
    missing = [name for name in chosen if running(places, name) is None]
    sizes = {name: ledger.size(places.ledger(name)) for name in missing}
    made = {name: _spawn(places, name, rate, connections) for name in missing}
    for name, process in made.items():
        _await_start(places, name, process, sizes[name] if wait else None)
    return missing


def _spawn(places: Places, name: str, rate: float, connections: int) -> subprocess.Popen[bytes]:
    argv = [
        sys.executable, "-m", "localcloud.sample", "--home", str(places.home), "writer", name,
        "--rate", str(rate), "--connections", str(connections),
    ]  # fmt: skip
    env = {**processes.environment(), "PYTHONPATH": str(checkout())}
    return processes.spawn(argv, folder(places.log(name)), env)


def _await_start(
    places: Places, name: str, process: subprocess.Popen[bytes], size: int | None
) -> None:
    def settled() -> bool:
        if process.poll() is not None:
            raise LocalCloudError(f"{name}: the writer ended: {_last_words(places, name)}")
        return running(places, name) == process.pid and (
            size is None or accepted(places, name, size)
        )

    processes.wait_until(settled, START_TIMEOUT_S, f"{name}: first acknowledged write", POLL_S)


def _last_words(places: Places, name: str) -> str:
    lines = places.log(name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def accepted(places: Places, name: str, size: int, address: str | None = None) -> bool:
    """Tell whether a write was acknowledged after byte ``size`` of the ledger (at ``address``)."""
    record = ledger.read(places.ledger(name), size)
    if record.last_acknowledged is None:
        return False
    return address is None or record.last_address == address


def wait_for_address(
    places: Places, sizes: Mapping[str, int], address: str, timeout_s: float
) -> None:
    """Wait until every running writer of ``sizes`` had a write acknowledged at ``address``."""
    for name, size in sizes.items():
        if running(places, name) is not None:
            processes.wait_until(
                lambda name=name, size=size: accepted(places, name, size, address),  # type: ignore[misc]
                timeout_s,
                f"{name}: a write acknowledged at {address}",
                POLL_S,
            )


def stop(places: Places, chosen: Sequence[str]) -> list[str]:
    """Stop the writers that run, and wait until they are gone. Return their names."""
    pids = {name: pid for name in chosen if (pid := running(places, name)) is not None}
    for pid in pids.values():
        processes.send(pid, signal.SIGTERM)
    for name, pid in pids.items():
        processes.wait_until(
            lambda pid=pid: not processes.alive(pid),  # type: ignore[misc]
            STOP_TIMEOUT_S,
            f"{name}: end of its writer",
        )
    return list(pids)
