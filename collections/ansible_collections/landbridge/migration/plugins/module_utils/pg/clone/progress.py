# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say once a second how far a long job is, as JSON lines in a file that someone may follow.

The protocol is in docs/reference/progress.md. What is said is never needed: a file that cannot
be written must not end a copy.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any

PERIOD_S = 1.0


class Progress:
    """The file's writer; without a path it says nothing."""

    def __init__(self, path: str | None, database: str) -> None:
        self._path = Path(path) if path else None
        self._database = database

    def say(self, event: str, **figures: Any) -> None:
        """Append one event."""
        if self._path is None:
            return
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            "database": self._database,
            **figures,
        }
        with suppress(OSError), open(self._path, "a", opener=_private) as file:
            file.write(json.dumps(line) + "\n")

    @contextmanager
    def ticking(self, read: Callable[[], dict[str, Any]]) -> Iterator[None]:
        """Say what ``read`` returns about once a second while the block runs."""
        if self._path is None:
            yield
            return
        over = Event()

        def tick() -> None:
            while not over.wait(PERIOD_S):
                self.say("progress", **read())

        thread = Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=5)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
