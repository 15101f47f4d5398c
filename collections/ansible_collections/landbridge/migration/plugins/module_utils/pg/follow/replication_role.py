# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role that a subscriber's server reads the publisher with: a run's own, for nothing else.

Its password is chosen here, kept by the publisher as a verifier and by the subscriber in the
subscription, and by nobody else. Before version 16 only a superuser may make a role with
REPLICATION; then the run's own role is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, NamedTuple

from ..finding import Finding
from ..text import ident
from .link import Link

try:
    import psycopg
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

EXISTS = "SELECT 1 FROM pg_roles WHERE rolname = %s"
# A role that is left over gets a new password: the old one cannot be read from anywhere.
MAKE = """\
{verb} ROLE {role} LOGIN REPLICATION NOINHERIT NOCREATEDB NOCREATEROLE PASSWORD {verifier};
GRANT CONNECT ON DATABASE {database} TO {role}"""
DROP = """\
REVOKE ALL ON DATABASE {database} FROM {role};
DROP ROLE {role}"""


class Login(NamedTuple):
    """Who the subscriber connects as.

    :param own: the role is the link's own.
    """

    user: str
    password: str
    own: bool


def converge_present(conn: Connection, link: Link, server: Mapping[str, Any]) -> Login:
    """Make the link's role on the publisher, or return the login of ``server`` if that may not be.

    Run again, the role has a new password.
    """
    password = token_urlsafe(24)
    known = conn.execute(EXISTS, [link.role]).fetchone()
    statement = sql.SQL(MAKE).format(
        verb=sql.SQL("ALTER" if known else "CREATE"),
        role=sql.Identifier(link.role),
        verifier=sql.Literal(_verifier(conn, link.role, password)),
        database=sql.Identifier(conn.info.dbname),
    )
    try:
        with conn.transaction():
            conn.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return Login(str(server["user"]), str(server.get("password") or ""), own=False)
    return Login(link.role, password, own=True)


def _verifier(conn: Connection, role: str, password: str) -> str:
    """Return what the publisher keeps of the password: neither it nor its log sees the password."""
    told = conn.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
    return told.decode()


def converge_absent(conn: Connection, link: Link) -> None:
    """Drop the link's role, if it is there."""
    if conn.execute(EXISTS, [link.role]).fetchone():
        names = {"database": ident(conn.info.dbname), "role": ident(link.role)}
        conn.execute(DROP.format(**names).encode())


def finding(login: Login) -> Finding | None:
    """Return what a person should know of the login; None if it is the link's own."""
    if login.own:
        return None
    return Finding(
        "replication_role",
        "warning",
        f"role {login.user}",
        "this server lets only superusers make a role for replication, so the subscription holds"
        " the password of the role that the migration runs as",
        "Change that role's password when the migration is finalized.",
    )
