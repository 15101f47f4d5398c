"""The rights a managed service hands out: much, but never a superuser's."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import pq, sql

ADMIN_ATTRIBUTES = "LOGIN CREATEDB CREATEROLE REPLICATION"

# Predefined roles an admin gets and may hand on; a major that lacks one leaves it out.
ADMIN_MEMBERSHIPS = ["pg_monitor", "pg_signal_backend", "pg_checkpoint", "pg_create_subscription"]

MEMBERSHIPS_KNOWN = """
SELECT rolname
  FROM pg_catalog.pg_roles
 WHERE rolname = ANY(%s)
 ORDER BY rolname
"""

ADMIN_EXISTS = "SELECT FROM pg_catalog.pg_roles WHERE rolname = %s"


def verifier(user: str, password: str) -> str:
    """Return what the server keeps of a password; neither it nor its log sees the password.

    libpq computes it and asks no server, since the algorithm is named.
    """
    conn = pq.PGconn.connect_start(b"")
    try:
        return conn.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()
    finally:
        conn.finish()


def make_admin(conn: psycopg.Connection[Any], user: str, password_verifier: str) -> None:
    """Create the admin role, or give it its rights and this password again."""
    role = sql.Identifier(user)
    if conn.execute(ADMIN_EXISTS, [user]).fetchone() is None:
        conn.execute(sql.SQL("CREATE ROLE {}").format(role))
    conn.execute(sql.SQL("ALTER ROLE {} " + ADMIN_ATTRIBUTES).format(role))
    for (membership,) in conn.execute(MEMBERSHIPS_KNOWN, [ADMIN_MEMBERSHIPS]).fetchall():
        grant = sql.SQL("GRANT {} TO {} WITH ADMIN OPTION")
        conn.execute(grant.format(sql.Identifier(membership), role))
    set_password(conn, user, password_verifier)


def set_password(conn: psycopg.Connection[Any], user: str, password_verifier: str) -> None:
    """Set a role's password to what `verifier` returned."""
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
    conn.execute(statement.format(sql.Identifier(user), sql.Literal(password_verifier)))
