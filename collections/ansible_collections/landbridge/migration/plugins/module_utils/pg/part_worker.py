# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One worker of a copy: its sessions, opened when first needed, and how it does a part."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

from . import batch, copy, statements
from .connection import connect, translated
from .endpoint import APPLICATION_NAME, CHECKS_ITS_CLIENT
from .part import BATCH, COPY, Part
from .queue import Outcome
from .text import literal

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

# On few cores a parallel btree build takes half again the processor time, for the same wait.
FEW_CORES = 2


@dataclass(frozen=True, slots=True)
class Job:
    """What all workers of a copy share."""

    sides: copy.Sides
    source: Mapping[str, Any]
    target: Mapping[str, Any]
    real_path: str
    jobs: int

    def target_settings(self, server_version: int) -> dict[str, str]:
        settings = {"application_name": APPLICATION_NAME, "synchronous_commit": "off"}
        if self.jobs <= FEW_CORES:
            settings["max_parallel_maintenance_workers"] = "0"
        if server_version >= CHECKS_ITS_CLIENT:
            settings["client_connection_check_interval"] = "2000"
        return settings


class PartWorker:
    """Does parts one at a time, in the thread that made it."""

    def __init__(self, job: Job, stop: Event, stack: ExitStack) -> None:
        self._job = job
        self._stop = stop
        self._stack = stack.enter_context(ExitStack())
        self._source: Connection | None = None
        self._target: Connection | None = None

    def do(self, part: Part) -> Outcome:
        """Do a part and commit it with its mark."""
        if part.kind == COPY:
            return copy.copy(part, self._job.sides, self._stop)
        if part.kind == BATCH:
            source, target = self._open_source(), self._open_target()
            return batch.copy(part, source, target, self._stop)
        with translated("target"):
            return statements.run(part, self._open_target(), self._job.real_path)

    def recover(self) -> None:
        """Close both sessions: an error may have left them in the middle of something."""
        self._stack.close()
        self._source = self._target = None

    def cancel(self) -> None:
        """Cancel the statement that runs on the target: an index build may take an hour."""
        with suppress(psycopg.Error):
            if target := self._target:
                target.cancel()

    def _open_source(self) -> Connection:
        if self._source is None:
            conn = self._stack.enter_context(connect("source", self._job.source))
            conn.execute(
                f"SET application_name = {literal(APPLICATION_NAME)};"
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
                f"SET TRANSACTION SNAPSHOT {literal(self._job.sides.snapshot)}".encode()
            )
            self._source = conn
        return self._source

    def _open_target(self) -> Connection:
        if self._target is None:
            conn = self._stack.enter_context(connect("target", self._job.target))
            settings = self._job.target_settings(conn.info.server_version)
            text = "; ".join(f"SET {name} = {literal(value)}" for name, value in settings.items())
            conn.execute(text.encode())
            self._target = conn
        return self._target
