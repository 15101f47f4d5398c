"""One Postgres server of a cloud, and what may be asked of it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ..certificates import Authority
from ..errors import Conflict, NotFound
from ..model import Backup, Record, Step, now
from ..resource import Resource
from . import backup, managed, parameters
from .server import PostgresServer


class ServerResource(Resource[Record]):
    """One server."""

    def __init__(
        self,
        record: Record,
        path: Path,
        authority: Authority,
        *,
        find_backup: Callable[[str, str], Path],
        deleted: Callable[[Record], None],
    ) -> None:
        folder = path.with_suffix("")
        self.server = PostgresServer(folder, record.configuration(), authority)
        super().__init__(record, path, self.server, deleted)
        self.backups_folder = folder / "backups"
        self._find_backup = find_backup

    def told(self) -> dict[str, Any]:
        with self._lock:
            return self.record.told(self.server.authority.pem)

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

    # What the thread does

    def _done(self, step: Step | None, failure: str) -> None:
        with self._lock:
            if step and step.kind == "backup":
                failure = ""  # the backup's failure, told with the backup
            if step and failure:
                self._give_up_backups(failure)
            super()._done(step, failure)

    def _give_up_backups(self, failure: str) -> None:
        for step in self.record.steps:
            if step.kind == "backup":
                taken = self.backup(step.argument)
                taken.state, taken.state_reason = "failed", failure

    def _look(self) -> None:
        self._expire_backups()
        super()._look()

    def _start(self, _: str) -> None:
        super()._start("")
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


def _created(taken: Backup) -> datetime:
    return datetime.fromisoformat(taken.created)
