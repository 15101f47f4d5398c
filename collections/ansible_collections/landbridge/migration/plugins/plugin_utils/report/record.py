# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run showed, kept in the order in which it was seen; report.build makes sense of it.

Knows nothing of Ansible's classes: the callback hands in plain values, so a test does, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

Evidence = dict[str, Any]
# Results of these, in a stage's play, say more than the evidence that its checkpoint keeps.
TELLING = ("pg_clone", "pg_follow", "pg_verify", "pg_audit")


class Result(NamedTuple):
    """A host's result of a task; `data` is censored by Ansible where no_log asks for it."""

    time: float
    host: str
    task: str
    action: str
    status: str  # ok, failed, skipped, unreachable, ignored
    changed: bool
    args: dict[str, Any]
    data: dict[str, Any]


class Key(NamedTuple):
    stage: str
    host: str


@dataclass
class TaskSeen:
    task: str
    action: str
    started: float
    last: float
    counts: dict[str, int] = field(default_factory=dict)


@dataclass
class PlaySeen:
    play: str
    stage: str | None
    started: float
    last: float
    tasks: list[TaskSeen] = field(default_factory=list)


class Failed(NamedTuple):
    """A result that failed, in the play of that stage, which began `since`."""

    result: Result
    stage: str | None
    since: float


@dataclass
class Record:
    """One run. `home` stays None until the run action has run: without it there is no report."""

    playbook: str
    tags: list[str]
    limit: str | None
    started: float
    stages: list[str] = field(default_factory=list)
    home: str | None = None
    migration: str = ""
    kind: str = "migration"
    run_id: str | None = None
    snapshot: dict[str, Any] = field(default_factory=dict)
    plays: list[PlaySeen] = field(default_factory=list)
    opened: set[Key] = field(default_factory=set)
    checkpoints: dict[Key, dict[str, Any] | None] = field(default_factory=dict)  # None: cleared
    decisions: list[dict[str, Any]] = field(default_factory=list)
    checklist: list[dict[str, Any]] = field(default_factory=list)
    told: dict[Key, dict[str, Any]] = field(default_factory=dict)  # by module's name and host
    failures: list[Failed] = field(default_factory=list)
    finished: float | None = None
    failed_hosts: frozenset[str] = frozenset()

    @property
    def stage(self) -> str | None:
        """The stage of the play that is under way."""
        return self.plays[-1].stage if self.plays else None

    def play_started(self, time: float, play: str, stage: str | None) -> None:
        self.plays.append(PlaySeen(play, stage, time, time))

    def task_started(self, time: float, task: str, action: str) -> None:
        if self.plays:
            self.plays[-1].last = time
            self.plays[-1].tasks.append(TaskSeen(task, action, time, time))

    def take(self, result: Result) -> None:
        """Keep what a result says."""
        self._count(result)
        if result.status in ("failed", "unreachable"):
            play = self.plays[-1] if self.plays else PlaySeen("", None, result.time, result.time)
            self.failures.append(Failed(result, play.stage, play.started))
        module = result.action.rpartition(".")[2]
        if module in TELLING and result.status != "skipped" and self.stage:
            self.told[Key(module, result.host)] = result.data
        items = result.data.get("results")  # of a loop
        for told in [result.data, *(items if isinstance(items, list) else [])]:
            if isinstance(told, dict) and isinstance(ours := told.get("landbridge"), dict):
                self._take_ours(result, ours)

    def ended(self, time: float, failed_hosts: frozenset[str]) -> None:
        self.finished = time
        self.failed_hosts = failed_hosts

    def _count(self, result: Result) -> None:
        if not self.plays or not self.plays[-1].tasks:
            return
        task = self.plays[-1].tasks[-1]
        self.plays[-1].last = task.last = result.time
        name = "changed" if result.status == "ok" and result.changed else result.status
        task.counts[name] = task.counts.get(name, 0) + 1

    def _take_ours(self, result: Result, ours: dict[str, Any]) -> None:
        if isinstance(snapshot := ours.get("snapshot"), dict):
            self._take_snapshot(ours, snapshot, result)
        if "checkpoint" in ours:
            self._take_checkpoint(result, ours["checkpoint"])
        if isinstance(decision := ours.get("decision"), dict):
            self.decisions.append(decision)
        if isinstance(checklist := ours.get("checklist"), list):
            self.checklist = [item for item in checklist if isinstance(item, dict)]

    def _take_snapshot(
        self, ours: dict[str, Any], snapshot: dict[str, Any], result: Result
    ) -> None:
        """Keep the journal's state; a later one, read when the journal exists, replaces it."""
        self.snapshot = snapshot
        self.kind = str(result.args.get("kind") or self.kind)
        if result.args.get("state", "open") == "open":  # to look at the journal is no run
            self.home = ours.get("home") or result.args.get("home") or self.home
        self.run_id = str(snapshot.get("run_id") or self.run_id or "") or None
        named = ours.get("migration") or snapshot.get("migration") or result.args.get("migration")
        self.migration = str(named or "")

    def _take_checkpoint(self, result: Result, checkpoint: Any) -> None:
        found = checkpoint if isinstance(checkpoint, dict) else {}
        stage = found.get("stage") or result.args.get("stage")
        host = found.get("host") or result.args.get("host") or result.host
        if not stage:
            return
        key = Key(str(stage), str(host))
        state = result.args.get("state")
        self.opened.add(key)
        if state == "clear":
            self.checkpoints[key] = None
        elif found.get("digest") or found.get("finished"):
            self.checkpoints[key] = found
