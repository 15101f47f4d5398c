"""Two real servers, fsync on, and the roads to them: straight, or by way of toxiproxy."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from psycopg import sql

from bench import toxiproxy
from localcloud.certificates import Authority
from localcloud.ports import free_port
from localcloud.postgres import watch
from localcloud.postgres.binaries import binaries
from localcloud.postgres.configuration import Configuration
from localcloud.postgres.managed import verifier
from localcloud.postgres.server import PostgresServer

HOST = "127.0.0.1"
ADMIN = "bench"
MAJOR = 17

# As a managed server of this size has them; the same for every contender.
PARAMETERS = {
    "shared_buffers": "1GB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "15min",
    "max_connections": "200",
    "autovacuum": "off",  # it would tidy the copies of earlier runs during later ones
}


@dataclass(frozen=True, slots=True)
class Road:
    """How a client reaches a database: libpq's keywords."""

    host: str
    port: int
    dbname: str
    user: str
    password: str
    sslmode: str
    sslrootcert: str

    def environment(self) -> dict[str, str]:
        """Return the environment by which libpq's own programs take this road."""
        return {
            "PATH": f"{binaries(MAJOR)}{os.pathsep}{os.environ['PATH']}",
            "HOME": os.environ.get("HOME", "/"),
            "LC_ALL": "C.UTF-8",
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGDATABASE": self.dbname,
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGSSLMODE": self.sslmode,
            "PGSSLROOTCERT": self.sslrootcert,
        }


class Server:
    """One server of the benchmark, as its admin sees it."""

    def __init__(self, name: str, folder: Path, authority: Authority) -> None:
        port = free_port([HOST])
        configuration = Configuration(name, MAJOR, HOST, port, ADMIN, parameters=PARAMETERS)
        self._password = secrets.token_urlsafe(16)
        self.postgres = PostgresServer(folder / name, configuration, authority)
        self.postgres.create(verifier(ADMIN, self._password))
        ca = str(authority.path)
        self.road = Road(HOST, port, "postgres", ADMIN, self._password, "verify-full", ca)

    def to(self, dbname: str, port: int | None = None) -> Road:
        """Return the road to a database, by a proxy's port if one is given."""
        return replace(self.road, dbname=dbname, port=port or self.road.port)

    def create(self, dbname: str) -> None:
        """Make an empty database, and settle the server.

        None is dropped between runs: ext4 without a journal passes over every file number that
        was freed in the last minutes, and making a file gets several times as expensive.
        """
        with self.postgres.as_superuser() as conn:
            statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0")
            conn.execute(statement.format(sql.Identifier(dbname), sql.Identifier(ADMIN)))
            conn.execute("CHECKPOINT")

    def one(self, dbname: str, query: str) -> tuple[Any, ...]:
        """Return a query's only row."""
        with self.postgres.as_superuser(dbname) as conn:
            row: tuple[Any, ...] | None = conn.execute(query.encode()).fetchone()
        if row is None:
            raise LookupError(f"no row: {query}")
        return row


@dataclass(frozen=True, slots=True)
class Site:
    """Both servers, a folder for a run's files, and ports that are far away."""

    folder: Path
    source: Server
    target: Server
    far: dict[str, int]

    def roads(self, source: str, target: str, *, far: bool) -> tuple[Road, Road]:
        """Return the roads to a database of each side."""
        ports = self.far if far else {}
        return (
            self.source.to(source, ports.get("source")),
            self.target.to(target, ports.get("target")),
        )


@contextmanager
def site(round_trip_ms: int) -> Iterator[Site]:
    """Run both servers until the block ends; even a killed benchmark leaves none behind."""
    folder = Path(tempfile.mkdtemp(prefix="landbridge-bench-"))
    folder.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(watch.clear, folder)
        argv = [sys.executable, "-m", watch.__name__, str(os.getpid()), str(folder)]
        watcher = subprocess.Popen(argv, start_new_session=True)
        stack.callback(watcher.wait)
        stack.callback(watcher.kill)
        authority = Authority(folder)
        source, target = (Server(name, folder, authority) for name in ("source", "target"))
        ports = {}
        if round_trip_ms:
            proxies = stack.enter_context(toxiproxy.running())
            for name, server in (("source", source), ("target", target)):
                port = server.road.port
                ports[name] = proxies.proxy(name, port, round_trip_ms=round_trip_ms)
        yield Site(folder, source, target, ports)
