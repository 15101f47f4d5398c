"""The sample's roles: an owner that cannot log in and a service that can do little, a database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from ..postgres.managed import set_password
from . import passwords
from .databases import Database
from .places import Places

Conn = psycopg.Connection[Any]

ROLES_THERE = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = ANY(%s)"


def make_roles(conn: Conn, databases: Sequence[Database], places: Places) -> None:
    """Create the roles that are missing and set the services' passwords from their files."""
    logins = {d.app: passwords.ensure(places.password(d.app)) for d in databases}
    wanted = [role for d in databases for role in (d.owner, d.app, *d.groups)]
    there = {name for (name,) in conn.execute(ROLES_THERE, [wanted])}
    for role in wanted:
        if role not in there:
            _create(conn, role, login=role in logins)
    for role, password in logins.items():
        set_password(conn, role, password)
    for database in databases:
        _set_habits(conn, database)


def _create(conn: Conn, role: str, *, login: bool) -> None:
    """Create a role and join it: since 16 its creator may administer it, but not be it."""
    name = sql.Identifier(role)
    attributes = sql.SQL("LOGIN" if login else "NOLOGIN")
    conn.execute(sql.SQL("CREATE ROLE {} {}").format(name, attributes))
    conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))


def _set_habits(conn: Conn, database: Database) -> None:
    """Give groups their member and the service its settings, as people do over the years."""
    app = sql.Identifier(database.app)
    conn.execute(sql.SQL("ALTER ROLE {} SET lock_timeout = '30s'").format(app))
    for group in database.groups:
        conn.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), app))
