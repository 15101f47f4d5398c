"""One run of a client: its wall time, its CPU seconds and the most memory its processes held."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_S = 0.2


@dataclass(frozen=True, slots=True)
class Measured:
    """What a run took; memory is the sum of its processes' proportional set sizes."""

    elapsed_s: float
    cpu_s: float
    peak_memory_mb: float

    def plus(self, other: Measured) -> Measured:
        """Return the two, one after the other."""
        return Measured(
            self.elapsed_s + other.elapsed_s,
            self.cpu_s + other.cpu_s,
            max(self.peak_memory_mb, other.peak_memory_mb),
        )


class CommandError(Exception):
    """A client ended with an error; the message ends with its last output."""


def run(argv: Sequence[str], environment: Mapping[str, str], log: Path) -> Measured:
    """Run a command to its end, its output to ``log``. Raise CommandError if it fails."""
    with log.open("ab") as output:
        started = time.monotonic()
        process = subprocess.Popen(
            argv, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        memory = PeakMemory(process.pid)
        memory.start()
        # wait4 counts the children that the command has waited for, as Popen.wait does not.
        _, status, usage = os.wait4(process.pid, 0)
        elapsed_s = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    memory.stop()
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise CommandError(f"{Path(argv[0]).name} ended with {process.returncode}:\n{tail}")
    return Measured(elapsed_s, usage.ru_utime + usage.ru_stime, memory.peak_kb / 1024)


class PeakMemory(threading.Thread):
    """Samples the memory of a process and all below it until told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak_kb = 0
        self._pid = pid
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            held_kb = sum(memory_kb(pid) for pid in family(self._pid))
            self.peak_kb = max(self.peak_kb, held_kb)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it; none if it is gone."""
    found, left = [], [pid]
    while left:
        each = left.pop()
        found.append(each)
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                left += map(int, children.read_text().split())
            except OSError:
                continue
    return found


def memory_kb(pid: int) -> int:
    """Return a process's proportional set size; pages shared by several count once in all."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
