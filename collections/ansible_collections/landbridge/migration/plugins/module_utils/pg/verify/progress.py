# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a verification is, in the terms of the progress file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from ..clone.progress import Progress


class VerifyProgress:
    """Counts what was read on both sides, and says so once a second.

    >>> progress = VerifyProgress(None, "shop")
    >>> with progress.shown():
    ...     progress.start(parts=2, size_bytes=1000)
    ...     progress.add(rows=5, size_bytes=500)

    :param path: the file; None says nothing.
    """

    def __init__(
        self, path: str | None, database: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._progress = Progress(path, database)
        self._clock = clock
        self._lock = Lock()
        self._phase = "catalog"
        self._message = ""
        self._started = clock()
        self._rows = self._bytes = self._bytes_total = self._parts = self._parts_total = 0

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Say how far it is while the block runs, and that it is done if it ends well."""
        with self._progress.ticking(self.read):
            yield
        self._progress.say("done", **self.read())

    def start(self, *, parts: int, size_bytes: int) -> None:
        """Begin to compare ``parts`` of ``size_bytes`` in all, beside those before."""
        with self._lock:
            self._phase, self._message = "compare", ""
            if not self._parts_total:
                self._started = self._clock()
            self._parts_total += parts
            self._bytes_total += size_bytes

    def add(self, *, rows: int, size_bytes: int, parts: int = 1) -> None:
        """Count what has been read."""
        with self._lock:
            self._rows += rows
            self._bytes += size_bytes
            self._parts += parts

    def doing(self, phase: str, message: str) -> None:
        """Begin something that has no figures; ``message`` stands behind those there are."""
        with self._lock:
            self._phase, self._message = phase, message

    def note(self, message: str) -> None:
        """Say something in words."""
        self._progress.say("note", message=message)

    def read(self) -> dict[str, Any]:
        """Return the figures of a progress line."""
        with self._lock:
            elapsed_s = self._clock() - self._started
            bytes_per_s = self._bytes / elapsed_s if elapsed_s > 0 else 0.0
            left = max(self._bytes_total - self._bytes, 0)
            return {
                "phase": self._phase,
                "rows": self._rows,
                "rows_total": None,
                "bytes": self._bytes,
                "bytes_total": self._bytes_total,
                "bytes_per_s": round(bytes_per_s, 1),
                "parts_done": self._parts,
                "parts_total": self._parts_total,
                "eta_s": round(left / bytes_per_s, 1) if bytes_per_s else None,
                "message": self._message,
            }
