# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin base that runs a module of this collection in a fork of the worker.

Ansible starts a module as a new Python: AnsiballZ packs it, and the new process unpacks and
compiles it and imports psycopg, for each task and host anew, which takes half a second of processor
time before its first statement. Here ansible-playbook has imported the module once. It runs in a
process of its own still: what ends it ends it alone. (`import_modules` of ansible.netcommon
goes further and runs modules in the worker itself.)
"""

from __future__ import annotations

import ctypes
import io
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout, suppress
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

from ansible.module_utils import basic
from ansible.module_utils.common.json import Direction, get_module_encoder
from ansible.plugins.action import ActionBase
from ansible.vars.clean import remove_internal_keys

PROFILE = "legacy"  # how arguments and results are written as JSON, as AnsiballZ's modules do
FORK = multiprocessing.get_context("fork")
POLL_S = 0.25
PR_SET_PDEATHSIG = 1


class ModuleAction(ActionBase):
    """Subclass with `module`. What runs elsewhere runs as any module of Ansible's."""

    module: ModuleType
    _supports_check_mode = True
    _supports_async = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        super().run(tmp, task_vars)
        die_with_parent()
        return self.run_module(dict(self._task.args), task_vars or {})

    def is_local(self) -> bool:
        """Tell whether the module runs on the control node, as this user, while we wait."""
        local = self._connection.transport.rpartition(".")[2] == "local"
        return local and self._connection.become is None and not self._task.async_val

    def run_module(self, args: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        wrap_async = bool(self._task.async_val) and not self._connection.has_native_async
        try:
            if self.is_local() and self._python(variables) == sys.executable:
                return self._run_here(args, variables)
            result: dict[str, Any] = self._execute_module(
                module_args=args, task_vars=variables, wrap_async=wrap_async
            )
        except BaseException:  # a task's timeout, which ansible-core raises and leaves it at that
            end_group()
            raise
        return result

    def _python(self, variables: dict[str, Any]) -> str:
        """Return the interpreter that the host's variables ask for; ours if they do not."""
        if host := self._task.delegate_to:
            variables = variables["ansible_delegated_vars"][host]
        return str(
            self._templar.template(variables.get("ansible_python_interpreter")) or sys.executable
        )

    def _run_here(self, args: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        self._update_module_args(self._task.action, args, variables)
        environment: dict[str, str] = {}
        self._compute_environment_string(environment)  # type: ignore[no-untyped-call]
        receiver, sender = FORK.Pipe(duplex=False)
        child = FORK.Process(target=_main, args=(self.module, args, environment, sender))
        child.start()
        sender.close()
        said = {"stdout": _received(receiver)}
        child.join()
        result: dict[str, Any] = self._parse_returned_data({**said, "rc": child.exitcode}, PROFILE)
        remove_internal_keys(result)
        return result


def _main(
    module: ModuleType, args: dict[str, Any], environment: Mapping[str, str], sender: Connection
) -> None:
    """Run the module as AnsiballZ would, and send what it prints."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the worker's own handler ends the worker
    die_with_parent()
    os.environ.update(environment)
    encoder = get_module_encoder(PROFILE, Direction.CONTROLLER_TO_MODULE)
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": args}, cls=encoder).encode()
    basic._ANSIBLE_PROFILE = PROFILE
    with redirect_stdout(io.StringIO()) as output, suppress(SystemExit):
        module.main()
    sender.send(output.getvalue())


def _received(receiver: Connection) -> str:
    """Return what the module printed; nothing if it was killed."""
    with receiver, suppress(EOFError):
        while not receiver.poll(POLL_S):
            pass  # a signal that came just before a read without end would not be seen
        return str(receiver.recv())
    return ""


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
