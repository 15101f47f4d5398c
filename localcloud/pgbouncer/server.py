"""One PgBouncer in one folder, which holds all that is needed to find its process again.

pgbouncer.ini    its database lines are changed by whoever switches it
users.txt        roles and passwords, 0600
pgbouncer.log    and the pid file, certificate and key
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from .. import files, ports, processes
from ..certificates import Authority
from ..errors import LocalCloudError
from ..postgres.server import remove_tree
from .binaries import program
from .configuration import Configuration, ini_text, users_text

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0


class PgBouncer:
    """One pooler.

    pooler = PgBouncer(folder, configuration, authority)
    pooler.write_users({"shop_app": "s3cret", configuration.admin_user: "another"})
    pooler.create()
    pooler.stop()
    """

    def __init__(self, folder: Path, configuration: Configuration, authority: Authority) -> None:
        self.folder = folder
        self.configuration = configuration
        self.authority = authority
        self.ini = folder / "pgbouncer.ini"
        self.log = folder / "pgbouncer.log"
        self._process: subprocess.Popen[bytes] | None = None

    def write_users(self, passwords: Mapping[str, str]) -> None:
        """Write who may log in, and by which password."""
        self._write("users.txt", users_text(passwords))

    def create(self) -> None:
        """Write its other files and start it. Run again, finish what is left."""
        issued = self.authority.issue([self.configuration.dns_name, self.configuration.host])
        self._write("pooler.key", issued.key)
        self._write("pooler.crt", issued.certificate)
        if not self.ini.exists():
            text = ini_text(self.configuration, str(self.folder), str(self.authority.path))
            self._write(self.ini.name, text)
        self.start()

    def _write(self, name: str, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        processes.own(self.folder)
        uid = processes.UNPRIVILEGED_UID if processes.is_root() else None
        files.write(self.folder / name, text, 0o600, uid)

    @property
    def pid(self) -> int | None:
        """The running process's pid, or None. A stale pid file or a reused pid is no pooler."""
        try:
            pid = int((self.folder / "pgbouncer.pid").read_text())
        except (OSError, ValueError):
            return None
        if self._process is not None:
            self._process.poll()  # reaps it, so that it is no zombie
        ours = processes.working_folder(pid) == self.folder.resolve()
        return pid if ours and processes.alive(pid) else None

    @property
    def ready(self) -> bool:
        """Whether it listens."""
        host, port = self.configuration.host, self.configuration.port
        return self.pid is not None and not ports.is_free(host, port)

    def start(self, timeout: float = START_TIMEOUT_S) -> None:
        """Start it unless it runs; return when it takes connections."""
        if self.pid is None:
            (self.folder / "pgbouncer.pid").unlink(missing_ok=True)
            path, environment = program()
            argv = processes.unprivileged([str(path), str(self.ini)], [path, self.ini])
            env = {**processes.environment(), **environment}
            self._process = processes.spawn(argv, self.log, env, cwd=self.folder)
        name = self.configuration.name
        processes.wait_until(self._started, timeout, f"{name}: the pooler takes connections")

    def _started(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            name = self.configuration.name
            raise LocalCloudError(f"{name}: the pooler did not start: {self._last_complaint()}")
        return self.ready

    def _last_complaint(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        grave = [line for line in lines if "FATAL" in line or "ERROR" in line]
        return (grave or lines or ["it said nothing"])[-1]

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """Stop it at once: it keeps nothing, and its gentle signals differ by version."""
        if (pid := self.pid) is None:
            return
        processes.send(pid, signal.SIGKILL)
        name = self.configuration.name
        processes.wait_until(lambda: self._gone(pid), timeout, f"{name}: the pooler stops")
        if self._process is not None:
            self._process.wait()
        self._process = None

    def _gone(self, pid: int) -> bool:
        if self._process is not None and self._process.pid == pid:
            return self._process.poll() is not None
        return not processes.alive(pid)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        if self.folder.exists():
            remove_tree(self.folder)
