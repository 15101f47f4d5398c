# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One worker of a copy: its sessions, opened when first needed, and how it does a part."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any

from ...errors import LandbridgeError, PostgresError
from ..connection import connect, translated
from ..endpoint import APPLICATION_NAME, CHECKS_ITS_CLIENT
from ..text import literal
from . import batch, copy, epochs, statements
from .part import BATCH, COPY, Part
from .queue import Outcome
from .request import Live

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

# On few cores a parallel btree build takes half again the processor time, for the same wait.
FEW_CORES = 2


# Classes of SQLSTATEs that tell of an object's definition, not of the server or the network:
# unsupported, data, constraint, schema name, syntax or access, dependency, raised by a function.
OF_DEFINITIONS = ("0A", "22", "23", "3F", "42", "2B", "P0")


def lenient(part: Part, real_path: str) -> Part:
    """Return a part with the search_path that its database's own sessions have."""
    return replace(part, payload={**part.payload, "tolerant": True, "path": real_path})


@dataclass(frozen=True, slots=True)
class Job:
    """What all workers of a copy share."""

    sides: copy.Sides
    source: Mapping[str, Any]
    target: Mapping[str, Any]
    real_path: str
    jobs: int
    live: Live | None = None

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
        """Do a part and commit it with its mark.

        What a definition refused is tried again in a lenient way: with the database's own
        search_path, and so that what still fails is a finding if it holds no rows.
        """
        live = self._job.live
        if live is not None and part.id in epochs.LOCKING:
            live.quiet()
        try:
            outcome = self._do_or_recover(part)
        except PostgresError as exc:
            if not (exc.sqlstate or "").startswith(OF_DEFINITIONS) or self._stop.is_set():
                raise
            outcome = self._do_or_recover(lenient(part, self._job.real_path))
        if live is not None:
            live.done(part.id)
        return outcome

    def _do_or_recover(self, part: Part) -> Outcome:
        try:
            return self._do(part)
        except LandbridgeError:
            self.recover()
            raise

    def _do(self, part: Part) -> Outcome:
        if part.kind == COPY:
            return copy.copy(part, self._job.sides, self._stop)
        if part.kind == BATCH:
            source, target = self._open_source(), self._open_target()
            return batch.copy(part, source, target, self._stop)
        with translated("target"):
            return statements.run(part, self._open_target())

    def recover(self) -> None:
        """Close both sessions: an error may have left them in the middle of something."""
        for conn in filter(None, (self._source, self._target)):
            conn.close()  # at once: in the middle of a COPY it cannot be rolled back
        self._source = self._target = None
        self._stack.close()

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
