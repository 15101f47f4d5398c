# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is kept until the journal's database exists: a file beside the reports.

Many workers of one run write it at once, so each change is read, made and written under a lock on
the folder. It is written whole and put in place by a rename: a kill leaves the old one or the new.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import PreconditionError
from . import lease
from .fingerprint import Requirement
from .records import Answer, Checkpoint, Decision, Opening, Place, Run, State
from .snapshot import shown
from .store import Store, checkpoint_of

NAME = "pending.json"
LOCK = "run.lock"

Content = dict[str, Any]


class Pending:
    """The journal of one migration before its database exists.

    pending = Pending(Path(".landbridge/acme"), "acme", run)
    pending.record(checkpoint)
    pending.flush(store)
    """

    present = False

    def __init__(self, home: Path, migration: str, run: Run) -> None:
        self._home = home
        self._path = home / NAME
        self._migration = migration
        self._run = run

    @property
    def exists(self) -> bool:
        return self._path.exists()

    def state(self, place: Place | None = None) -> State:
        content = self._read()
        openings = map(_opening_of, content["openings"])
        mine = [o for o in openings if place == Place(o.stage, o.host)]
        return State(self._current(content), mine[-1] if mine else None)

    def begin(self, opening: Opening) -> None:
        self._change(lambda content: content["openings"].append(asdict(opening)))

    def record(self, checkpoint: Checkpoint) -> None:
        def change(content: Content) -> None:
            content["openings"] = [
                o for o in content["openings"] if (o["stage"], o["host"]) != checkpoint.place
            ]
            content["checkpoints"].append(asdict(checkpoint))

        self._change(change)

    def clear(self, place: Place, reason: str) -> None:
        def change(content: Content) -> None:
            kept = [c for c in content["checkpoints"] if (c["stage"], c["host"]) != place]
            content["checkpoints"] = kept

        self._change(change)

    def answers(self) -> dict[str, Answer]:
        return {row["item"]: Answer(**row) for row in self._read()["answers"]}

    def answer(self, answers: list[Answer]) -> None:
        self._change(lambda content: content["answers"].extend(map(asdict, answers)))

    def decisions(self) -> list[Decision]:
        return [Decision(**row) for row in reversed(self._read()["decisions"])]

    def decide(self, decision: Decision) -> None:
        self._change(lambda content: content["decisions"].append(asdict(decision)))

    def snapshot(self) -> dict[str, Any]:
        content = self._read()
        found = {
            "checkpoints": self._current(content).values(),
            "answers": self.answers().values(),
            "decisions": self.decisions(),
        }
        return {"journal": "absent", **shown(self._migration, self._run.run_id, found)}

    def flush(self, store: Store) -> None:
        """Bring all into the journal and remove the file; done again after a kill, none doubles."""
        with self._locked():
            if not self.exists:
                return
            content = self._read()
            store.bring_runs([Run(**row) for row in content["runs"].values()])
            store.bring([checkpoint_of(row) for row in content["checkpoints"]])
            answers, decisions = store.answers(), store.decisions()
            store.answer([a for a in self.answers().values() if answers.get(a.item) != a])
            for decision in reversed(self.decisions()):
                if decision not in decisions:
                    store.decide(decision)
            self._path.unlink()

    def _current(self, content: Content) -> dict[Place, Checkpoint]:
        return {(c := checkpoint_of(row)).place: c for row in content["checkpoints"]}

    def _read(self) -> Content:
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            text = "{}"
        try:
            content = json.loads(text)
        except ValueError as exc:
            raise PreconditionError(f"{self._path} is damaged: {exc}; move it away") from exc
        if content.get("migration", self._migration) != self._migration:
            raise PreconditionError(
                f"{self._path} is of migration {content['migration']}, not {self._migration}"
            )
        empty: Content = {
            "runs": {},
            "openings": [],
            "checkpoints": [],
            "answers": [],
            "decisions": [],
        }
        return {"migration": self._migration, **empty, **content}

    def _change(self, change: Callable[[Content], None]) -> None:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._locked():
            content = self._read()
            content["runs"][self._run.run_id] = asdict(self._run)
            change(content)
            fd, name = tempfile.mkstemp(dir=self._home, prefix=".pending-")  # mode 0600
            with os.fdopen(fd, "w") as file:
                json.dump(content, file)
            Path(name).replace(self._path)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        folder = os.open(self._home, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def take_file_lease(home: Path, migration: str, run: Run) -> int | str:
    """Return the open lock file that is this run's lease, or the sentence of who holds it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = read_file_holder(home)
        os.close(file)
        return lease.refusal(migration, holder)
    os.truncate(file, 0)
    os.write(file, json.dumps(asdict(run)).encode())
    return file


def read_file_holder(home: Path) -> lease.Holder | None:
    """Return who wrote the lock file last."""
    try:
        row = json.loads((home / LOCK).read_text())
    except (FileNotFoundError, ValueError):
        return None
    del row["kind"]
    return lease.Holder(0, **row)


def _opening_of(row: Content) -> Opening:
    requires = [Requirement(*requirement) for requirement in row["requires"]]
    return Opening(**{**row, "requires": requires})
