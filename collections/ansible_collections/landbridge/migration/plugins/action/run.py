# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Begins and ends a run: the lease, the journal's tables, and what the journal holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from ..module_utils.errors import PostgresError, PreconditionError
from ..module_utils.journal import schema
from ..module_utils.journal.database import absent, maintenance
from ..module_utils.journal.gate import answers_of
from ..module_utils.journal.lease import Holder, ended_here, read_holder, refusal
from ..module_utils.journal.pending import read_file_holder, take_file_lease
from ..module_utils.journal.records import Answer, Journal, Run
from ..module_utils.journal.store import Store
from ..module_utils.pg.connection import connect
from ..module_utils.waiting import Deadline, pauses
from ..plugin_utils.action_base import (
    Arguments,
    JournalAction,
    now,
    require_lease,
    user,
)
from ..plugin_utils.lease import hold_file, hold_in_journal

LETTING_GO_S = 10.0  # for the lease of a run that was killed on this host a moment ago
FIRST_PATIENCE_S = 5.0  # a wrong address shall not take a minute to say


class ActionModule(JournalAction):
    SPEC: ClassVar[dict[str, Any]] = {
        "state": {
            "type": "str",
            "default": "open",
            "choices": ["open", "close", "info", "answer"],
        },
        "kind": {
            "type": "str",
            "default": "migration",
            "choices": ["migration", "rehearsal", "rollback", "finalize"],
        },
        "create": {"type": "bool", "default": False},
        "description": {"type": "str", "default": ""},
        "rehearsal_of": {"type": "str"},
        "outcome": {"type": "str", "default": "finished", "choices": ["finished", "failed"]},
        "answers": {"type": "list", "elements": "dict", "default": []},
    }

    def act(self, args: Arguments, task_vars: dict[str, Any]) -> dict[str, Any]:
        if args["state"] in ("open", "info"):
            self.patience_s = FIRST_PATIENCE_S
        acts = {"open": self._open, "close": self._close, "info": self._info}
        return acts.get(args["state"], self._answer)(args)

    def _open(self, args: Arguments) -> dict[str, Any]:
        if self.check_mode:
            return self._info(args)
        run = self.this_run(args)
        changed = self.patiently(lambda: self._take_lease(args, run))
        return {**self._info(args), "changed": changed}

    def _take_lease(self, args: Arguments, run: Run) -> bool:
        """Take the lease in the journal, or while there is none in the home folder.

        :return: whether the journal was created or its tables were changed.
        """
        server, created = args["journal"], False
        if server and args["create"]:
            with maintenance(server) as conn:
                created = schema.create_database(conn, server["dbname"])
        try:
            if server:
                return bool(_take_in_journal(args, run)) or created
        except PostgresError as exc:
            if not absent(exc, server):
                raise
        _take_file(Path(args["home"]), args["migration"], run)
        return False

    def _info(self, args: Arguments) -> dict[str, Any]:
        snapshot = self.on_journal(args, lambda journal: journal.snapshot())
        lease = snapshot["lease"]
        held = lease["state"] == "held"
        where = f"journal {snapshot['journal']}, {len(snapshot['checkpoints'])} checkpoints"
        holder = {name: lease[name] for name in Holder._fields} if held else {}
        who = f"; {refusal(args['migration'], Holder(**holder))}" if held else ""
        ours = {"home": args["home"], "migration": args["migration"], "snapshot": snapshot}
        return {"changed": False, "msg": f"{where}{who}", **snapshot, "landbridge": ours}

    def _close(self, args: Arguments) -> dict[str, Any]:
        def close(journal: Journal) -> bool:
            return isinstance(journal, Store) and journal.close(args["outcome"])

        if self.check_mode:
            return {"changed": False, "msg": "the run would end here"}
        self.on_journal(args, close)
        return {"changed": False, "msg": f"run {args['outcome']}"}

    def _answer(self, args: Arguments) -> dict[str, Any]:
        given = [
            replace(a, answered_by=user(), answered=now()) for a in answers_of(args["answers"])
        ]

        def record(journal: Journal) -> list[Answer]:
            known = journal.answers()
            new = [a for a in given if a.item not in known or known[a.item].says() != a.says()]
            if new and not self.check_mode:
                require_lease(journal.state(), args["migration"])
                journal.answer(new)
            return new

        new = self.on_journal(args, record)
        said = ", ".join(f"{answer.item}: {answer.answer}" for answer in new) or "nothing new"
        ours = {"answers": [answer.item for answer in given]}
        return {"changed": bool(new), "msg": said, "landbridge": ours}


def _take_in_journal(args: Arguments, run: Run) -> int:
    """Return how many migrations of the tables were applied."""
    migration = {name: args[name] for name in ("migration", "description", "rehearsal_of")}
    with connect("journal", args["journal"]) as conn:
        applied = schema.apply(conn)
        holder = _awaited_holder(conn, args["migration"])
        if holder is not None and holder.run_id == run.run_id:
            return applied
        version = conn.info.server_version
        if holder is None and hold_in_journal(args["journal"], version, migration, run):
            return applied
        holder = read_holder(conn, args["migration"])
    raise PreconditionError(refusal(args["migration"], holder))


def _awaited_holder(conn: Any, migration: str) -> Holder | None:
    """Return who holds the lease, after a run that was killed here has let it go."""
    deadline, between = Deadline(LETTING_GO_S), pauses(0.05, 0.5)
    while (holder := read_holder(conn, migration)) and ended_here(holder) and not deadline.passed:
        deadline.pause(next(between))
    return holder


def _take_file(home: Path, migration: str, run: Run) -> None:
    deadline, between = Deadline(LETTING_GO_S), pauses(0.05, 0.5)
    while isinstance(lock := take_file_lease(home, migration, run), str):
        holder = read_file_holder(home)
        if holder is not None and holder.run_id == run.run_id:
            return
        if holder is None or not ended_here(holder) or deadline.passed:
            raise PreconditionError(lock)
        deadline.pause(next(between))
    hold_file(lock, migration, run)
