# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin base that runs the module of the same name and shows its progress.

The module runs on the worker's own thread and the follower on a second one, not the other way
round: ansible-core keeps the task's context in a context variable that a new thread lacks, a task's
`timeout` interrupts the main thread only, and a process with PR_SET_PDEATHSIG dies with the thread
that started it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.errors import redact
from .progress import Follower, Tail, Throttle

# ansible-playbook removes its own temporary folder at its end even if a worker was killed. (The
# attribute, because each look-up by constants.config makes another folder.)
LOCAL_TMP: str = vars(constants)["DEFAULT_LOCAL_TMP"]
PR_SET_PDEATHSIG = 1
OPTION = "progress_path"


class ProgressAction(ActionBase):
    """Subclass with `module` set to the module's full name; the module takes `progress_path`."""

    module: str
    _supports_check_mode = True
    _supports_async = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        die_with_parent()
        variables = task_vars or {}
        if not self._can_follow():
            return self._run_module(dict(self._task.args), variables)
        with tempfile.TemporaryDirectory(dir=LOCAL_TMP) as folder:
            given = self._task.args.get(OPTION)
            path = Path(given or folder, *([] if given else ["progress.jsonl"]))
            args = {**self._task.args, OPTION: str(path)}
            with self._following(path, variables.get("inventory_hostname", "")):
                return self._run_module(args, variables)

    def _can_follow(self) -> bool:
        """No file of ours is readable here if the module runs elsewhere or as someone else."""
        local = self._connection.transport.rpartition(".")[2] == "local"
        elsewhere = self._connection.become is not None or bool(self._task.async_val)
        return local and not elsewhere and not self._task.no_log

    def _following(self, path: Path, name: str) -> Follower:
        secrets = [*secrets_of(self._task.args)]
        display = Display()
        return Follower(
            Tail(path),
            Throttle(name),
            lambda line: display.display(redact(line, secrets)),
            time.monotonic,
        )

    def _run_module(self, args: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        try:
            result: dict[str, Any] = self._execute_module(
                self.module, module_args=args, task_vars=variables, wrap_async=wrap_async
            )
        except BaseException:  # a task's timeout, which ansible-core raises and leaves it at that
            end_group()
            raise
        return result


def secrets_of(value: Any) -> Iterable[str]:
    """Yield what stands under a key named password, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "password" and isinstance(inner, str):
                yield inner
            else:
                yield from secrets_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from secrets_of(inner)


def die_with_parent() -> None:
    """End this worker, and with it its process group, when ansible-playbook is killed.

    Without it a worker outlives a `kill -9` of ansible-playbook and its module works on.
    """
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGTERM)


def end_group() -> None:
    """End what this worker started: its process group without itself."""
    if os.getpgrp() != os.getpid():
        return  # not a worker of our own: the group is someone else's
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)
