# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Passwords of a target's roles: set where the server does not take them, proven by a login.

They come from the inventory: no managed service shows the source's. What is sent is the SCRAM
verifier, as psql's \\password does, so that no log of the server holds a password.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import NotConvergedError
from ..finding import Finding
from ..login import password_works
from . import role_findings
from .roles import Role

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

AT_ONCE = 8  # logins; each is several round trips and a costly hash on the server


class Passwords(NamedTuple):
    """Roles whose password was set (in check mode, is due), and what stands in the way."""

    changed: list[str]
    findings: list[Finding]


def converge(
    conn: Connection,
    server: Mapping[str, Any],
    passwords: Mapping[str, str],
    roles: Mapping[str, Role],
    *,
    new: Collection[str],
    check_mode: bool,
) -> Passwords:
    """Make the server take each role's password; change none that it takes already.

    :param roles: those of the server, and in check mode those that are due to be made.
    :param new: roles that this run makes; they have no password to try.

    Raise NotConvergedError if the server still does not take one that was set.
    """
    usable, findings = _usable(passwords, roles)
    tried = [name for name in usable if name not in new]
    due = [name for name in usable if name in new] + _refused(server, tried, passwords)
    if due and not check_mode:
        apply(conn, {name: passwords[name] for name in due})
        if left := _refused(server, due, passwords):
            raise NotConvergedError(
                f"target: role {left[0]} does not take the password that was set for it",
                hint="See the server's log: its access rules (pg_hba.conf) may leave the role out.",
            )
    return Passwords(sorted(due), findings)


def apply(conn: Connection, passwords: Mapping[str, str]) -> None:
    """Set the passwords, all of them or none."""
    alter = sql.SQL("ALTER ROLE {} PASSWORD {}")
    statements = [
        alter.format(sql.Identifier(rolname), sql.Literal(_verifier(conn, rolname, password)))
        for rolname, password in passwords.items()
    ]
    with conn.transaction():
        conn.execute(sql.SQL("; ").join(statements))


def _verifier(conn: Connection, rolname: str, password: str) -> str:
    # Without an algorithm libpq asks the server for its password_encryption.
    return conn.pgconn.encrypt_password(password.encode(), rolname.encode()).decode()


def _usable(
    passwords: Mapping[str, str], roles: Mapping[str, Role]
) -> tuple[list[str], list[Finding]]:
    usable, findings = [], []
    for rolname in sorted(passwords):
        role = roles.get(rolname)
        if role is None:
            why = "the target has no such role, and the databases need none"
            findings.append(role_findings.password_unused(rolname, why))
        elif role.expired:
            why = f"it is valid until {role.rolvaliduntil} only"
            findings.append(role_findings.password_unused(rolname, why))
        else:
            usable.append(rolname)
    return usable, findings


def _refused(
    server: Mapping[str, Any], names: Sequence[str], passwords: Mapping[str, str]
) -> list[str]:
    """Return those of ``names`` whose password the server does not take."""

    def works(rolname: str) -> bool:
        return password_works("target", {**server, "user": rolname, "password": passwords[rolname]})

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [name for name, fine in zip(names, pool.map(works, names), strict=True) if not fine]


def missing(roles: Iterable[Role], passwords: Mapping[str, str]) -> list[Finding]:
    """Return a finding for each role that logs in and has no password given."""
    return [
        role_findings.no_password(role.rolname)
        for role in sorted(roles, key=lambda role: role.rolname)
        if role.rolcanlogin and role.rolname not in passwords
    ]
