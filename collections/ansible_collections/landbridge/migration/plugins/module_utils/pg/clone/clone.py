# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copy a whole database: schema, rows, sequences, large objects, owners and grants.

The order is that of "read, plan, apply, read again"; what is applied is written down on the
target part by part (queue.py), so a copy that was killed goes on with the parts not done.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from ...errors import LandbridgeError
from .. import binaries
from . import epochs, resume
from .begin import Begin
from .build import LAST
from .copy import Sides
from .findings import Finding
from .finishing import finish, retry, table_rows
from .meter import Meter
from .part import BARRIER, BATCH, Part
from .part_worker import Job, PartWorker
from .plan import Setting
from .progress import Progress
from .queue import Outcome, Record
from .request import Request
from .sessions import Sessions, sessions_of
from .workers import Workers


@dataclass(slots=True)
class Copied:
    """What a run did; in check mode, what it would do."""

    changed: bool
    parts: list[Part]
    done: Mapping[str, Outcome]
    resumed: int = 0
    findings: list[Finding] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    elapsed_s: float = 0.0

    def rows_by_table(self) -> dict[str, int]:
        return table_rows(self.done)

    def bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    def parts_count(self) -> int:
        return sum(part.kind != BARRIER for part in self.parts)

    def figures(self) -> dict[str, Any]:
        """Return the figures of the last progress event."""
        count = self.parts_count()
        return {
            "phase": "done", "rows": sum(self.rows_by_table().values()),
            "bytes": self.bytes(), "bytes_total": self.bytes(), "parts_done": count,
            "parts_total": count, "bytes_per_s": round(self.bytes() / max(self.elapsed_s, 0.001)),
        }  # fmt: skip

    def tables(self) -> list[dict[str, Any]]:
        """Return name, rows, bytes and seconds of every table, the largest first."""
        found: dict[str, dict[str, Any]] = {}
        for part in self.parts:
            outcome = self.done.get(part.id, Outcome())
            for oid, name, size, expected in _tables_of(part):
                row = found.setdefault(oid, {"name": name, "rows": 0, "bytes": 0, "seconds": 0.0})
                row["rows"] += (outcome.tables or {}).get(oid, 0) if self.done else expected or 0
                row["bytes"] += size
                row["seconds"] = round(row["seconds"] + outcome.elapsed_s, 3)
        return sorted(found.values(), key=lambda row: (-row["bytes"], row["name"]))


def _tables_of(part: Part) -> Iterator[tuple[str, str, int, int | None]]:
    """Yield OID, name, bytes and expected rows of the tables in a part."""
    if part.kind == BATCH:
        for table in part.payload["tables"]:
            yield str(table["oid"]), table["name"], table["bytes"], None
    elif "oid" in part.payload:
        payload = part.payload
        yield str(payload["oid"]), payload["name"], part.bytes, payload["rows_expected"]


def clone(request: Request, progress: Progress) -> Copied:
    """Make the target database a copy of the source. Raise LandbridgeError if it cannot be."""
    started = time.monotonic()
    progress.say("progress", phase="preparation")
    with ExitStack() as stack:
        sessions = sessions_of(request, stack)
        record = sessions.record()
        if record:
            resume.check_kind(record, live=request.live is not None)
        if record and record.finished:
            copied = _complete(request, sessions, record)
        else:
            copied = _copy(request, sessions, record, progress, stack)
    copied.elapsed_s = time.monotonic() - started
    return copied


def _complete(request: Request, sessions: Sessions, record: Record) -> Copied:
    """Return what the finished copy was, if the source still is what was copied.

    What could not be set then is tried again: the operator may have made a role since.
    """
    resume.check_source(record, sessions.found)
    if not record.live:
        resume.check_unwritten(record, sessions.activity())
    parts, done = sessions.parts()
    before = [Finding(**each) for each in record.findings]
    findings = before if request.check_mode else retry(sessions, record, request.role_map)
    changed = findings != before
    return Copied(changed, parts, done, len(done), findings, dict(record.result or {}))


def _copy(
    request: Request,
    sessions: Sessions,
    record: Record | None,
    progress: Progress,
    stack: ExitStack,
) -> Copied:
    """Begin a copy or go on with one, to its end."""
    tools = binaries.find(request.bin_dir, sessions.found.major, sessions.described.major)
    small_sessions = request.small_sessions or sessions.small_sessions(request.jobs)
    setting = Setting(request.jobs, small_sessions, request.live is not None)
    findings: list[Finding] = []
    counts = sessions.activity()  # before the snapshot: a write in between shows as one after it
    snapshot = stack.enter_context(sessions.snapshot(request.snapshot))
    sides = Sides(
        tools.psql.path,
        stack.enter_context(sessions.endpoint("source", request.source)),
        stack.enter_context(sessions.endpoint("target", request.target)),
        snapshot,
    )
    begin = Begin(sessions, sides, tools.pg_dumps, setting, request, findings)
    parts, done = begin.again(record, counts) if record else begin.anew(counts)
    resumed = sum(part.id in done for part in parts)
    if request.check_mode:
        return Copied(True, parts, done, resumed, findings)
    job = Job(
        sides, request.source, request.target, sessions.real_path(), request.jobs, request.live
    )
    done = _do(job, setting, parts, done, sessions, progress)
    evidence = finish(sessions, parts, done, request, findings)
    return Copied(True, parts, done, resumed, findings, evidence)


def _do(
    job: Job,
    setting: Setting,
    parts: Sequence[Part],
    done: Mapping[str, Outcome],
    sessions: Sessions,
    progress: Progress,
) -> dict[str, Outcome]:
    """Do what is left of the parts, all but the last."""
    later = {LAST, *epochs.deferred(parts)}
    workers = Workers(
        [part for part in parts if part.id not in later],
        done,
        lambda stop, stack: PartWorker(job, stop, stack),
    )
    meter = Meter(parts, workers, sessions.target, setting.jobs)
    with progress.ticking(meter.read):
        try:
            finished = workers.run(setting.jobs, max(0, setting.small_sessions - setting.jobs))
        except LandbridgeError:
            sessions.check_alive()  # a lost snapshot makes others fail with errors of their own
            raise
    progress.say("progress", **meter.read(), message="rows and indexes are in")
    return finished
