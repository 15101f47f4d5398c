"""One server of a cloud: its record, and the thread that makes the world like it.

A request only adds steps to the record and is answered; the thread does them one after the
other. A step leaves the record when it is done, so a daemon that was killed goes on where the
last one was: every step may be done twice.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from . import files
from .certificates import Authority
from .errors import Conflict, LocalCloudError, NotFound
from .model import FAILED, READY, Backup, Record, Step, now
from .postgres import backup, managed, parameters
from .postgres.server import PostgresServer

LOOK_EVERY_S = 0.5


class Resource:
    """One server, its record at ``path`` (NAME.json), its files in the folder of that name."""

    def __init__(
        self,
        record: Record,
        path: Path,
        authority: Authority,
        *,
        find_backup: Callable[[str, str], Path],
        deleted: Callable[[Resource], None],
    ) -> None:
        self.record = record
        self.path = path
        self.folder = path.with_suffix("")
        self.backups_folder = self.folder / "backups"
        self.server = PostgresServer(self.folder, record.configuration(), authority)
        self._find_backup = find_backup
        self._deleted = deleted
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._leaving = False
        self._thread = threading.Thread(target=self._work, name=path.stem, daemon=True)

    def begin(self) -> None:
        """Start the thread. A server that had failed gets another chance."""
        if self.record.made:
            self.record.failure = ""
            self._start_if_dead()
        self._thread.start()

    def leave(self) -> None:
        """End the thread, if it was begun, after its step; then stop the server."""
        self._leaving = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self.server.stop()

    # What requests do

    def told(self) -> dict[str, Any]:
        with self._lock:
            return self.record.told(self.server.authority.pem)

    def request(self, *steps: Step, change: Callable[[Record], None] | None = None) -> None:
        """Change the record and add steps, both or neither.

        Raise Conflict while something else is under way.
        """
        with self._lock:
            if self.record.state not in (READY, FAILED):
                raise Conflict(
                    f"{self.record.name} is {self.record.state}; wait until that is done",
                    code="operation_in_progress",
                )
            if change is not None:
                change(self.record)
            self.record.steps += steps
            self.record.failure = ""
            self._save()
        self._wake.set()

    def request_backup(self) -> Backup:
        """Add a backup to the record and return it; it is being created."""
        if not self.record.made:
            raise Conflict(f"{self.record.name} was not made; there is nothing to back up")
        stamp = datetime.now(UTC).strftime("%Y%m%dt%H%M%S")
        made = Backup(f"{stamp}-{secrets.token_hex(2)}", "creating", now(), self.record.version)
        self.request(Step("backup", made.id), change=lambda record: record.backups.append(made))
        return made

    def backup(self, backup_id: str) -> Backup:
        with self._lock:
            for found in self.record.backups:
                if found.id == backup_id:
                    return found
        raise NotFound(f"{self.record.name} has no backup {backup_id}")

    def _save(self) -> None:
        files.write_json(self.path, asdict(self.record))

    # What the thread does

    def _work(self) -> None:
        while not self._leaving:
            step = self.record.steps[0] if self.record.steps else None
            try:
                self._do(step) if step else self._look()
                failure = ""
            except (LocalCloudError, psycopg.Error, OSError) as exc:
                failure = " ".join(str(exc).split()) or type(exc).__name__
            if step and step.kind == "delete" and not failure:
                return
            self._done(step, failure)
            if not self.record.steps:
                self._wake.wait(LOOK_EVERY_S)
                self._wake.clear()

    def _do(self, step: Step) -> None:
        getattr(self, f"_{step.kind}")(step.argument)

    def _done(self, step: Step | None, failure: str) -> None:
        """Take the step off the record. After a failure the rest would fail, too: all go."""
        with self._lock:
            if step and step.kind == "backup":
                failure = ""  # the backup's failure, told with the backup
            if step and failure:
                self._give_up_backups(failure)
                self.record.steps.clear()
            elif step:
                self.record.steps.remove(step)
            if step or failure:
                self.record.failure = failure
                self._save()

    def _give_up_backups(self, failure: str) -> None:
        for step in self.record.steps:
            if step.kind == "backup":
                taken = self.backup(step.argument)
                taken.state, taken.state_reason = "failed", failure

    def _look(self) -> None:
        """See to a server that died. One that failed waits for a request instead."""
        self._expire_backups()
        if self.record.made and not self.record.failure:
            self._start_if_dead()

    def _start_if_dead(self) -> None:
        with self._lock:
            if self.server.pid is None:
                self.record.steps.insert(0, Step("start"))

    def _start(self, _: str) -> None:
        self.server.start()
        self._observe()

    def _create(self, _: str) -> None:
        self.server.create(self.record.admin_verifier)
        self.record.made = True
        self._observe()

    def _restore(self, _: str) -> None:
        wanted = self.record.restore_from or {}
        unfinished = self.folder / "restore.unfinished"
        if unfinished.exists() or not self.server.data.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished.touch()
            backup.restore(self._find_backup(wanted["server"], wanted["backup"]), self.server.data)
            self.server.configure()
            self.server.certify()
            unfinished.unlink()
        self._create("")

    def _configure(self, _: str) -> None:
        self.server.configuration = self.record.configuration()
        self.server.configure()
        if self.server.pid is None:
            self.server.start()
        else:
            self.server.reload()
        self._observe()

    def _password(self, _: str) -> None:
        with self.server.as_superuser() as conn:
            managed.set_password(conn, self.record.admin_user, self.record.admin_verifier)

    def _restart(self, _: str) -> None:
        self.server.restart()
        self._observe()

    def _observe(self) -> None:
        with self.server.as_superuser() as conn:
            observed = parameters.observe(conn, self.record.parameters)
        with self._lock:
            self.record.observed = observed
            self._save()

    def _backup(self, backup_id: str) -> None:
        taken = self.backup(backup_id)
        target = self.backups_folder / backup_id
        shutil.rmtree(target, ignore_errors=True)  # half of one, after a crash
        try:
            with self.server.as_superuser() as conn:
                taken.bytes = backup.take(conn, self.server.data, target)
            taken.parameters = dict(self.record.parameters)
            taken.state = "ready"
        except BaseException as exc:
            taken.state, taken.state_reason = "failed", str(exc)
            shutil.rmtree(target, ignore_errors=True)
            raise

    def _expire_backups(self) -> None:
        """Delete backups older than the server keeps them."""
        oldest = datetime.now(UTC) - timedelta(days=self.record.retention_days)
        with self._lock:
            old = [each for each in self.record.backups if _created(each) < oldest]
            for each in old:
                shutil.rmtree(self.backups_folder / each.id, ignore_errors=True)
                self.record.backups.remove(each)
            if old:
                self._save()

    def _delete(self, _: str) -> None:
        self.server.remove()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self._deleted(self)


def _created(taken: Backup) -> datetime:
    return datetime.fromisoformat(taken.created)
