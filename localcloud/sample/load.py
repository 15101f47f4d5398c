"""Load the sample's databases on a server, as its admin; no superuser is needed.

A database gets its name when its content is complete: a killed load leaves no half database under
a name that counts, and running again goes on with what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from ..errors import LocalCloudError
from .databases import Database
from .places import Places
from .roles import make_roles

Conn = psycopg.Connection[Any]
Server = Mapping[str, Any]  # libpq's keywords

SESSION = """
SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
SET statement_timeout = 0;
SET client_min_messages = warning
"""

DATABASES_THERE = "SELECT datname FROM pg_catalog.pg_database"
SIZE = "SELECT pg_catalog.pg_database_size(%s)"


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of one database: ``changed`` is false if it was there already."""

    name: str
    dbname: str
    changed: bool
    bytes: int
    elapsed_s: float


def load(
    server: Server, databases: Sequence[Database], places: Places, *, again: bool = False,
    jobs: int = 2,
) -> list[Loaded]:  # fmt: skip
    """Make roles and databases on ``server`` (the admin's), ``jobs`` databases at a time.

    :param again: drop the ones that are there first.

    Raise LocalCloudError naming the database and the file that failed.
    """
    with connect(server) as conn:
        make_roles(conn, databases, places)
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda database: load_one(server, database, again=again), databases))


def load_one(server: Server, database: Database, *, again: bool = False) -> Loaded:
    """Make one database unless it is there."""
    started = time.monotonic()
    with connect(server) as conn:
        there = {name for (name,) in conn.execute(DATABASES_THERE)}
        stale = {database.unfinished} | ({database.dbname} if again else set())
        for dbname in sorted(stale & there):
            _execute(conn, "DROP DATABASE {} WITH (FORCE)", dbname)
        changed = again or database.dbname not in there
        if changed:
            _create(conn, database)
            _fill({**server, "dbname": database.unfinished}, database)
            _execute(conn, "ALTER DATABASE {} RENAME TO {}", database.unfinished, database.dbname)
        row = conn.execute(SIZE, [database.dbname]).fetchone()
    size = row[0] if row else 0
    return Loaded(database.name, database.dbname, changed, size, time.monotonic() - started)


def _create(conn: Conn, database: Database) -> None:
    """Create it empty, open to its own service alone; flights stays open to everyone."""
    dbname = database.unfinished
    _execute(conn, "CREATE DATABASE {} OWNER {} TEMPLATE template0", dbname, database.owner)
    if database.writes:
        _execute(conn, "REVOKE CONNECT ON DATABASE {} FROM PUBLIC", dbname)
        _execute(conn, "GRANT CONNECT ON DATABASE {} TO {}", dbname, database.app)
    habit = sql.SQL("ALTER ROLE {} IN DATABASE {} SET application_name = {}")
    conn.execute(habit.format(sql.Identifier(database.app), sql.Identifier(dbname), database.name))


def _fill(server: Server, database: Database) -> None:
    before, after = database.scripts()
    with connect(server) as conn:
        for script in before:
            _run(conn, database, script.read_text(encoding="utf-8"), script.name)
        if database.content:
            _execute(conn, "SET ROLE {}", database.owner)
            database.content(conn)
        for script in after:
            _run(conn, database, script.read_text(encoding="utf-8"), script.name)
        conn.execute("RESET ROLE")
        # As the admin: shared catalogs are not ours to vacuum, which is a warning only.
        conn.execute("VACUUM (ANALYZE)")


def _run(conn: Conn, database: Database, text: str, script: str) -> None:
    """Run one file in one transaction, as the admin until it says otherwise."""
    dbname = sql.Identifier(database.unfinished).as_string(conn)
    try:
        conn.execute("RESET ROLE")
        conn.execute(text.replace(":database", dbname).encode())
    except psycopg.Error as exc:
        raise LocalCloudError(f"{database.name}: {script}: {exc}") from exc


def _execute(conn: Conn, statement: str, *names: str) -> None:
    text = sql.SQL(statement)
    conn.execute(text.format(*map(sql.Identifier, names)))


@contextmanager
def connect(server: Server) -> Iterator[Conn]:
    """Open an autocommit session as the server's admin. Raise LocalCloudError if it fails."""
    keywords = {"connect_timeout": 10, "application_name": "sample load", **server}
    try:
        with psycopg.connect(**keywords, autocommit=True) as conn:
            conn.execute(SESSION)
            yield conn
    except psycopg.Error as exc:
        raise LocalCloudError(f"{server['host']}:{server['port']}: {exc}") from exc
