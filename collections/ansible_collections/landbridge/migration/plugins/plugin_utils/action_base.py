# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Base of the actions that read and write the journal, on the control node, in the worker itself.

They do in an action plugin what modules do by `reporting`: one sentence, typed, redacted. No module
is run, so a checkpoint costs one connection and two or three statements.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..module_utils.errors import LandbridgeError, PostgresError, PreconditionError, redact
from ..module_utils.journal.database import absent, refused
from ..module_utils.journal.lease import this_run
from ..module_utils.journal.pending import Pending
from ..module_utils.journal.records import Journal, Run, State, utc
from ..module_utils.journal.store import Store
from ..module_utils.pg.connection import connect, server_spec
from ..module_utils.waiting import Deadline, retry
from .module_action import die_with_parent, secrets_of

T = TypeVar("T")

PATIENCE_S = 60.0  # for a server that is started again in mid-run

Arguments = dict[str, Any]


class JournalAction(ActionBase):
    """Subclass with `SPEC` (its own options) and `act`."""

    SPEC: ClassVar[dict[str, Any]] = {}
    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    patience_s = PATIENCE_S

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        die_with_parent()
        secrets = [*secrets_of(self._task.args), os.environ.get("LANDBRIDGE_JOURNAL_PASSWORD", "")]
        try:
            return {**result, **self.act(self._arguments(), task_vars or {})}
        except Exception as exc:
            return {**result, **failure(exc, secrets)}

    def act(self, args: Arguments, task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the task's result. Raise LandbridgeError if it fails."""
        raise NotImplementedError

    def _arguments(self) -> Arguments:
        validated = ArgumentSpecValidator({**_common(), **self.SPEC}).validate(self._task.args)
        if validated.error_messages:
            said = "; ".join(validated.error_messages)
            unknown = bool(validated.unsupported_parameters)
            raise PreconditionError(f"{'unsupported parameters: ' if unknown else ''}{said}")
        args: Arguments = validated.validated_parameters
        return {**args, "journal": _server(args["journal"])}

    @property
    def check_mode(self) -> bool:
        return bool(self._task.check_mode)

    def this_run(self, args: Arguments) -> Run:
        """Return the run that the ansible-playbook process above this worker is."""
        parent = parent_process()
        pid = os.getppid()
        if parent is not None and parent.pid != pid:
            raise PreconditionError("ansible-playbook has ended")
        return this_run(pid, args["migration"], args.get("kind") or "migration")

    def on_journal(self, args: Arguments, call: Callable[[Journal], T]) -> T:
        """Return ``call`` of the journal, or of the file that stands in until it exists.

        ``call`` must be safe to repeat: a server that is away for a moment is asked again.
        """
        run = self.this_run(args)
        pending = Pending(Path(args["home"]), args["migration"], run)

        def once() -> T:
            if not args["journal"]:
                return call(pending)
            try:
                with open_store(args, run) as store:
                    self._bring(pending, store)
                    return call(store)
            except PostgresError as exc:
                if not absent(exc, args["journal"]):
                    raise
            return call(pending)

        return self.patiently(once)

    def patiently(self, call: Callable[[], T]) -> T:
        """Return ``call()``, called again for a while when what stopped it may heal."""
        told: list[str] = []

        def repeatable(error: LandbridgeError) -> bool:
            again = error.retryable and not refused(error)
            if again and not told:
                told.append(str(error))
                said = " ".join(f"{error}; trying for {self.patience_s:g} s".split())
                Display().display(redact(said, secrets_of(self._task.args)))
            return again

        return retry(call, deadline=Deadline(self.patience_s), repeatable=repeatable)

    def _bring(self, pending: Pending, store: Store) -> None:
        if pending.exists and not self.check_mode and store.state().lease == "mine":
            pending.flush(store)


@contextmanager
def open_store(args: Arguments, run: Run) -> Iterator[Store]:
    with connect("journal", args["journal"]) as conn:
        yield Store(conn, args["migration"], run.run_id)


def require_lease(state: State, migration: str) -> None:
    """Raise PreconditionError unless this run holds the lease.

    It may heal where nobody holds it: the holder takes it again once the server is back.
    """
    if state.lease == "mine":
        return
    if state.lease == "none":
        raise PreconditionError(
            f"this run does not hold the lease of migration {migration}",
            hint="Open the run first: landbridge.migration.run with state: open.",
        )
    if state.lease == "lost":
        raise PreconditionError(
            f"this run lost the lease of migration {migration}",
            retryable=True,
            hint="Run the playbook again; it goes on where it was.",
        )
    raise PreconditionError(f"this run lost its lease: {state.lease}")


def failure(exc: Exception, secrets: list[str]) -> dict[str, Any]:
    """Return the result of a task that failed, as `errors.reporting` gives it for a module."""
    if isinstance(exc, AnsibleError):
        exc = PreconditionError(str(exc.message))
    error = exc if isinstance(exc, LandbridgeError) else LandbridgeError(repr(exc))
    report = {
        "code": error.code,
        "retryable": error.retryable,
        "hint": redact(error.hint, secrets),
        "sqlstate": error.sqlstate,
        "status": error.status,
    }
    stop = "" if not error.hint or str(error).endswith((".", "?", "!")) else "."
    said = f"{error}{stop} {error.hint}"
    msg = redact(" ".join(said.split()), secrets)  # libpq breaks its lines
    return {"failed": True, "changed": False, "msg": msg, "error": report}


def now() -> str:
    return utc(datetime.now(UTC))


def user() -> str:
    """Return who gives an answer: user@host."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _common() -> dict[str, Any]:
    """Return the options that doc_fragments/journal.py documents."""
    journal = server_spec("journal")
    options = journal["options"]
    for name in ("host", "user"):
        options[name]["required"] = False
    options["dbname"] = {"type": "str", "default": "landbridge"}
    return {
        "migration": {"type": "str", "required": True},
        "journal": {**journal, "required": False},
        "home": {"type": "path", "required": True},
    }


def _server(journal: dict[str, Any] | None) -> dict[str, Any]:
    """Return the journal's server; empty if there is none yet."""
    return journal if journal and journal.get("host") else {}
