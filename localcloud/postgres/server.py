"""One Postgres server, run as a managed service runs it.

Its folder holds `data` (the cluster), `run` (the superuser's socket) and `server.log`. Everything
needed to find the process again is in the folder, so whoever opens it controls the server: the
daemon that started it, the next one, or a test.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from .. import files, processes
from ..certificates import Authority
from ..errors import LocalCloudError
from . import managed
from .binaries import binaries
from .configuration import SUPERUSER, Configuration, hba_text, ident_text, settings_text

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
INCLUDED = "cloud.conf"

# Longest path of a socket: sun_path of unix(7), less the name Postgres adds.
LONGEST_SOCKET_FOLDER = 107 - len("/.s.PGSQL.65535.lock")


class PostgresServer:
    """One server in one folder.

    server = PostgresServer(folder, Configuration("shop", 17, "127.31.1.1", 21432, "boss"), ca)
    server.create(verifier("boss", "s3cret"))  # initdb, start, admin role
    server.stop()
    """

    def __init__(self, folder: Path, configuration: Configuration, authority: Authority) -> None:
        self.folder = folder
        self.configuration = configuration
        self.authority = authority
        self.data = folder / "data"
        self.log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    def create(self, admin_verifier: str) -> None:
        """Make the cluster, start it and create its admin role. Run again, finish what is left."""
        self.initialize()
        self.start()
        with self.as_superuser() as conn:
            managed.make_admin(conn, self.configuration.admin_user, admin_verifier)

    def initialize(self) -> None:
        """Make the cluster's files unless they are there, and write its configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.data / "PG_VERSION").exists() or self._half_made.exists():
            self._half_made.touch()
            self._remove_data()
            self._initdb()
            self.include_configuration()
            self._half_made.unlink()
        self.configure()

    @property
    def _half_made(self) -> Path:
        return self.folder / "initdb.unfinished"

    def _remove_data(self) -> None:
        if self.data.exists():
            remove_tree(self.data)

    def _initdb(self) -> None:
        self.data.mkdir(mode=0o700)
        processes.own(self.data)
        program = binaries(self.configuration.major) / "initdb"
        argv = [
            str(program), "--pgdata", str(self.data), "--username", SUPERUSER, "--auth", "reject",
            "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
        ]  # fmt: skip
        done = subprocess.run(  # noqa: S603  # argv, no shell
            processes.unprivileged(argv, [program, self.data]),
            cwd="/",
            env=processes.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise LocalCloudError(f"{self.configuration.name}: initdb: {done.stderr.strip()}")

    def include_configuration(self) -> None:
        """Make postgresql.conf read what `configure` writes, after all else in it."""
        text = (self.data / "postgresql.conf").read_text(encoding="utf-8")
        if f"include '{INCLUDED}'" not in text:
            self._write("postgresql.conf", f"{text}\ninclude '{INCLUDED}'\n")

    def configure(self) -> None:
        """Write settings, access rules and, if there is none, the certificate."""
        self._write(INCLUDED, settings_text(self.configuration, str(self.socket_folder)))
        self._write("pg_hba.conf", hba_text(self.configuration))
        self._write("pg_ident.conf", ident_text(pwd.getpwuid(os.geteuid()).pw_name))
        if not (self.data / "server.crt").exists():
            self.certify()

    def certify(self) -> None:
        """Give the server a new certificate for its address and its DNS name."""
        names = [self.configuration.dns_name, self.configuration.host]
        issued = self.authority.issue(names)
        self._write("server.key", issued.key)
        self._write("server.crt", issued.certificate)

    def _write(self, name: str, text: str) -> None:
        uid = processes.UNPRIVILEGED_UID if processes.is_root() else None
        files.write(self.data / name, text, 0o600, uid)

    @property
    def socket_folder(self) -> Path:
        """The folder of the superuser's socket; elsewhere if the path would be too long."""
        folder = self.folder / "run"
        if len(str(folder)) <= LONGEST_SOCKET_FOLDER:
            return folder
        digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"landbridge-{os.geteuid()}-{digest}"

    @property
    def pid(self) -> int | None:
        """The running postmaster's pid, or None. A stale pid file or a reused pid is no server."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        if self._process is not None:
            self._process.poll()  # reaps it, so that it is no zombie
        ours = processes.working_folder(pid) == self.data.resolve()
        return pid if ours and processes.alive(pid) else None

    @property
    def ready(self) -> bool:
        """Whether the server takes connections: line 8 of postmaster.pid, miscadmin.h."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return self.pid is not None and len(lines) > 7 and lines[7].strip() == "ready"

    def start(self, timeout: float = START_TIMEOUT_S) -> None:
        """Start the server unless it runs; return when it takes connections."""
        if self.pid is None:
            self._make_socket_folder()
            program = binaries(self.configuration.major) / "postgres"
            argv = processes.unprivileged(
                [str(program), "-D", str(self.data)], [program, self.data, self.socket_folder]
            )
            # libpq, with which one server follows another, looks for certificates in its home.
            env = {**processes.environment(), "HOME": str(self.data)}
            self._process = processes.spawn(argv, self.log, env)
        name = self.configuration.name
        processes.wait_until(self._started, timeout, f"{name}: the server takes connections")

    def _make_socket_folder(self) -> None:
        folder = self.socket_folder
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.lstat().st_uid not in (os.geteuid(), processes.UNPRIVILEGED_UID):
            raise LocalCloudError(f"{folder} belongs to another user")
        processes.own(folder)

    def _started(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            name = self.configuration.name
            raise LocalCloudError(f"{name}: the server did not start: {self._last_complaint()}")
        return self.ready

    def _last_complaint(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        grave = [line for line in lines if "FATAL" in line or "ERROR" in line]
        return (grave or lines or ["it said nothing"])[-1]

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """Stop the server: sessions are ended, a checkpoint is written. Not running is fine."""
        self._end(signal.SIGINT, timeout)

    def stop_immediately(self) -> None:
        """Stop the server as a crash would, its children included."""
        self._end(signal.SIGQUIT, STOP_TIMEOUT_S)

    def kill(self) -> None:
        """Kill the postmaster with SIGKILL and wait till its children have noticed."""
        self._end(signal.SIGKILL, STOP_TIMEOUT_S)

    def _end(self, number: signal.Signals, timeout: float) -> None:
        if (pid := self.pid) is None:
            return
        family = [pid, *processes.children(pid)]
        processes.send(pid, number)
        name = self.configuration.name
        processes.wait_until(lambda: self._gone(family), timeout, f"{name}: the server stops")
        if self._process is not None:
            self._process.wait()  # it may have died since it was last polled
        self._process = None
        if not self.socket_folder.is_relative_to(self.folder):
            remove_tree(self.socket_folder)

    def _gone(self, family: list[int]) -> bool:
        if self._process is not None:
            self._process.poll()
        return not any(processes.alive(pid) for pid in family)

    def restart(self) -> None:
        """Stop and start the server; parameters that waited for this take effect."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Let the running server read its configuration again; return when it has."""
        with self.as_superuser() as conn:
            before = conn.execute("SELECT pg_conf_load_time()").fetchone()
            conn.execute("SELECT pg_reload_conf()")
            processes.wait_until(
                lambda: conn.execute("SELECT pg_conf_load_time()").fetchone() != before,
                START_TIMEOUT_S,
                f"{self.configuration.name}: the configuration is read again",
            )

    @contextmanager
    def as_superuser(self, dbname: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """Open an autocommit superuser's session; it never leaves the provider's side."""
        with psycopg.connect(
            host=str(self.socket_folder),
            port=self.configuration.port,
            user=SUPERUSER,
            dbname=dbname,
            application_name="localcloud",
            connect_timeout=10,
            autocommit=True,
        ) as conn:
            yield conn

    def remove(self) -> None:
        """Stop the server at once and delete its folder."""
        self.stop_immediately()
        if self.folder.exists():
            remove_tree(self.folder)


def remove_tree(folder: Path) -> None:
    """Delete a folder that no server uses; what vanishes meanwhile is no error."""
    shutil.rmtree(folder)
