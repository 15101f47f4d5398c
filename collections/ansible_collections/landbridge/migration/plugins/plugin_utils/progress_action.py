# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin base that runs a module and shows its progress.

The module runs on the worker's own thread and the follower on a second one, not the other way
round: ansible-core keeps the task's context in a context variable that a new thread lacks, a task's
`timeout` interrupts the main thread only, and a process with PR_SET_PDEATHSIG dies with the thread
that started it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.utils.display import Display

from ..module_utils.errors import redact
from .module_action import ModuleAction, secrets_of
from .progress import Follower, Tail, Throttle

# ansible-playbook removes its own temporary folder at its end even if a worker was killed. (The
# attribute, because each look-up by constants.config makes another folder.)
LOCAL_TMP: str = vars(constants)["DEFAULT_LOCAL_TMP"]
OPTION = "progress_path"


class ProgressAction(ModuleAction):
    """Subclass with `module`, which takes `progress_path`."""

    def run_module(self, args: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        # No file of ours is readable here if the module runs elsewhere or as someone else.
        if not self.is_local() or self._task.no_log:
            return super().run_module(args, variables)
        with tempfile.TemporaryDirectory(dir=LOCAL_TMP) as folder:
            given = args.get(OPTION)
            path = Path(given or folder, *([] if given else ["progress.jsonl"]))
            with self._following(path, variables.get("inventory_hostname", "")):
                return super().run_module({**args, OPTION: str(path)}, variables)

    def _following(self, path: Path, name: str) -> Follower:
        secrets = [*secrets_of(self._task.args)]
        display = Display()
        return Follower(
            Tail(path),
            Throttle(name),
            lambda line: display.display(redact(line, secrets)),
            time.monotonic,
        )
