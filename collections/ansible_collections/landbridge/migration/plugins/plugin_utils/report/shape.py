# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What report.json holds; report.schema.json beside this file says the same to other tools."""

from __future__ import annotations

from typing import Any, TypedDict

VERSION = 1
LISTED = 100  # items of a list that is shown; its count says how many there are


class Migration(TypedDict):
    name: str
    description: str


class Run(TypedDict):
    id: str | None
    kind: str  # migration, rehearsal
    playbook: str
    tags: list[str]
    limit: str | None
    started: str
    finished: str
    elapsed_s: float
    outcome: str  # running, ok, failed


class Summary(TypedDict):
    stage: str | None  # the last one reached
    databases: int
    databases_verified: int
    tables: int
    rows: int
    bytes: int
    copy_s: float | None
    bytes_per_s: float | None
    window_s: float | None


class StageHost(TypedDict):
    host: str
    state: str  # reached, stale, failed, open
    this_run: bool
    started: str | None
    finished: str | None
    elapsed_s: float | None
    digest: str | None


class Stage(TypedDict):
    stage: str
    state: str  # reached, stale, failed, open, pending
    this_run: bool
    started: str | None
    finished: str | None
    elapsed_s: float | None
    hosts: list[StageHost]


class Table(TypedDict):
    name: str
    rows: int | None
    bytes: int | None
    seconds: float | None
    bytes_per_s: float | None


class LagReading(TypedDict):
    s: float  # since following was first looked at
    bytes: int


class CrossingStep(TypedDict):
    step: str
    ms: float


class Crossing(TypedDict):
    stall_ms: float  # from the pooler's pause to its resume
    steps: list[CrossingStep]
    way_back: str | None  # following, none


class Database(TypedDict):
    host: str
    rows: int | None
    bytes: int | None
    seconds: float | None
    bytes_per_s: float | None
    tables_count: int | None
    tables: list[Table]
    verified: bool | None  # null: not compared (yet)
    window_s: float | None
    lag: list[LagReading]
    crossing: Crossing | None  # null in window mode, and before cutover
    transfer: dict[str, Any]
    verification: dict[str, Any]


class Checkpoint(TypedDict):
    stage: str
    host: str
    digest: str | None
    fingerprint: str | None
    run_id: str | None
    started: str | None
    finished: str | None
    elapsed_s: float | None
    this_run: bool
    stale: str  # why it no longer holds; empty while it does
    evidence: dict[str, Any]


class ChecklistItem(TypedDict):
    id: str
    text: str
    when: str | None
    state: str  # met, failed, open
    answer: str | None
    how: str | None
    note: str | None
    by: str | None
    time: str | None
    contingency: str | None


class Decision(TypedDict):
    decision: str  # go, no-go, asked
    digest: str | None
    how: str | None
    by: str | None
    time: str | None
    parts: dict[str, Any]
    this_run: bool


class Finding(TypedDict):
    host: str
    code: str
    severity: str
    object: str
    message: str
    remedy: str


class Failure(TypedDict):
    time: str
    host: str
    stage: str | None
    task: str
    action: str
    message: str
    code: str | None
    retryable: bool
    remedy: str
    state: str  # in what state everything was left
    handled: bool  # the run went on


class TaskTime(TypedDict):
    task: str
    action: str
    started: str
    elapsed_s: float
    ok: int
    changed: int
    failed: int
    skipped: int


class Play(TypedDict):
    play: str
    stage: str | None
    started: str
    elapsed_s: float
    tasks: list[TaskTime]


class Report(TypedDict):
    version: int
    generated: str
    migration: Migration
    run: Run
    summary: Summary
    stages: list[Stage]
    databases: list[Database]
    checkpoints: list[Checkpoint]
    checklist: list[ChecklistItem]
    decisions: list[Decision]
    findings: list[Finding]
    findings_count: int
    failures: list[Failure]
    plays: list[Play]
    earlier_runs: list[dict[str, Any]]
    other: dict[str, Any]
