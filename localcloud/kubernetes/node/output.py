"""What a container writes, kept with the time of each line.

A line of a log is `TIME F text`, or `TIME P text` for one whose end did not come (yet): CRI's
format, less the name of the stream. The pipe ends with the node, as its containers do.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

LONGEST_LINE = 16 * 1024
WHOLE, PART = b"F", b"P"


class Line(NamedTuple):
    """A line of a log as it is shown, with its end if it has one."""

    at: bytes
    text: bytes


class Output(asyncio.Protocol):
    """The reading end of a container's pipe.

    output = await Output.open(log)
    ...  # start the process with output.pipe
    output.started()
    await output.finish(timeout_s)
    """

    def __init__(self, file: BinaryIO, pipe: int) -> None:
        self.pipe = pipe
        self._file = file
        self._rest = b""
        self._last_ns = 0
        self._ended = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None

    @classmethod
    async def open(cls, log: Path) -> Output:
        reading, writing = os.pipe()
        made = cls(log.open("ab"), writing)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: made, os.fdopen(reading, "rb", 0))
        return made

    def started(self) -> None:
        """The process has the pipe's writing end, or there is none: ours is not needed."""
        os.close(self.pipe)

    async def finish(self, timeout_s: float) -> None:
        """Return when all is read; a process that kept the pipe is not waited for longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        written = [self._line(WHOLE, each) for each in lines]
        if len(self._rest) > LONGEST_LINE:
            written.append(self._line(PART, self._rest))
            self._rest = b""
        self._file.write(b"".join(written))
        self._file.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._rest:
            self._file.write(self._line(PART, self._rest))
        self._file.close()
        self._ended.set()

    def _line(self, kind: bytes, text: bytes) -> bytes:
        self._last_ns = max(time.time_ns(), self._last_ns + 1)  # no two lines of one time
        return b" ".join((stamp(self._last_ns), kind, text)) + b"\n"


def stamp(ns: int) -> bytes:
    """Return a time as RFC 3339 with nine digits: its order as text is its order in time."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z".encode()


def parse(line: bytes) -> Line:
    """Return a line of a log, given with its end."""
    at, kind, text = line.split(b" ", 2)
    return Line(at, text if kind == WHOLE else text[:-1])


def shown(lines: Iterable[bytes], *, timestamps: bool = False, since: bytes = b"") -> bytes:
    """Return lines of a log as they are shown: those not older than ``since``."""
    parsed = [line for line in map(parse, lines) if line.at >= since]
    return b"".join(line.at + b" " + line.text if timestamps else line.text for line in parsed)
