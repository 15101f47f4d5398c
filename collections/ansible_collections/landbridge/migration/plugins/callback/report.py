# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Listen to a run and write what it did, and the state of the whole migration, to two files."""

from __future__ import annotations

DOCUMENTATION = r"""
name: report
type: aggregate
short_description: Writes a migration's report and prints its figures
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Writes C(report.json) and C(report.html) to the migration's folder, each readable by its owner
    only. They show the whole migration, which is what the journal holds and what this run added,
    with the run's own timeline, failures and findings.
  - The page is one file without a script and without the network. The JSON is described by
    C(plugins/plugin_utils/report/report.schema.json) of this collection.
  - Both are written anew while checkpoints are set, at most every few seconds, so that a run that
    is killed leaves a report behind, and at the end. Then a line for each database and failure
    and the report's place are printed.
  - Writes nothing if the run did not hold a migration's lease (P(landbridge.migration.run#module)
    was not called), and nothing in check mode, since nothing was done.
  - A report that cannot be written is a warning and never fails a run.
requirements:
  - enabled in C(ansible.cfg) by C(callbacks_enabled = landbridge.migration.report)
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

from ..module_utils.journal.checkpoints import STAGES
from ..plugin_utils.report import files, page, summary
from ..plugin_utils.report.build import build
from ..plugin_utils.report.record import Record, Result
from ..plugin_utils.report.shape import Report

TOLD_ARGS = (
    "state",
    "kind",
    "stage",
    "host",
    "home",
    "migration",
)  # never a server with its password
PERIOD_S = 3.0  # between two reports of a run that goes on


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "landbridge.migration.report"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._record = Record("", [], None, time.time())
        self._due = 0.0

    def v2_playbook_on_start(self, playbook: Any) -> None:
        arguments = context.CLIARGS
        tags = [tag for tag in arguments.get("tags") or () if tag != "all"]
        name = Path(str(playbook._file_name)).name
        self._record = Record(name, tags, arguments.get("subset"), time.time())
        stages = [stage_of(play) for play in playbook.get_plays()]
        self._record.stages = [*dict.fromkeys(stage for stage in stages if stage)]

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._record.play_started(time.time(), play.get_name().strip(), stage_of(play))

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        action = task.resolved_action or task.action
        self._record.task_started(time.time(), task.get_name().strip(), action)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, is_conditional=False)

    def v2_runner_on_ok(self, result: Any) -> None:
        self._take("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._take("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._take("skipped", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._take("unreachable", result)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._record.ended(time.time(), frozenset({*stats.failures, *stats.dark}))
        if self._record.home is None:
            return
        self._display.banner("MIGRATION")
        if context.CLIARGS.get("check"):
            self._display.display("report: not written in check mode")
        elif report := self._write():
            place = Path(self._record.home) / "report.html"
            for line in [*summary.table(report), *summary.failures(report), f"report: {place}"]:
                self._display.display(line)

    def _take(self, status: str, result: Any) -> None:
        task = result.task
        args = result.task_fields.get("args") or {}
        taken = Result(
            time.time(),
            result.host.get_name(),
            task.get_name().strip(),
            task.resolved_action or task.action,
            status,
            result.is_changed(),
            {name: args[name] for name in TOLD_ARGS if name in args},
            result.result,
        )
        self._record.take(taken)
        if taken.changed and "landbridge" in taken.data and taken.time >= self._due:
            self._write()
            self._due = time.time() + PERIOD_S

    def _write(self) -> Report | None:
        """Write the report if there is one to write; return it if it is written."""
        if self._record.home is None or context.CLIARGS.get("check"):
            return None
        report = build(self._record, time.time())
        home = Path(self._record.home)
        try:
            files.write(home / "report.json", json.dumps(report, indent=1, default=str) + "\n")
            files.write(home / "report.html", page.render(report))
        except OSError as exc:
            self._display.warning(f"The report could not be written: {exc}")
            return None
        return report


def stage_of(play: Any) -> str | None:
    """Return the stage that is among the play's tags."""
    return next((tag for tag in play.tags if tag in STAGES), None)
