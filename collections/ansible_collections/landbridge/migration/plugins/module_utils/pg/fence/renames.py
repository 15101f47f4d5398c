# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renaming databases: several in one transaction, so that names are swapped or nothing is.

A name that is taken, or a database that is gone, means that the step was done before: a run that
was killed after its commit is told from one that was killed before by looking.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...errors import NotConvergedError

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

READ = "SELECT datname FROM pg_database WHERE NOT datistemplate"


class Rename(NamedTuple):
    datname: str
    new_name: str

    def __str__(self) -> str:
        return f"{self.datname} -> {self.new_name}"


def read(conn: Connection) -> set[str]:
    """Return the names of the server's databases."""
    return {datname for (datname,) in conn.execute(READ)}


def plan(wanted: Sequence[Rename], found: Collection[str]) -> list[Rename]:
    """Return the renames due, in their order; each sees the names that those before it left."""
    names, due = set(found), []
    for rename in wanted:
        if rename.datname in names and rename.new_name not in names:
            names = (names - {rename.datname}) | {rename.new_name}
            due.append(rename)
    return due


def apply(conn: Connection, renames: Sequence[Rename]) -> None:
    """Rename all or none. A session in one of the databases makes Postgres refuse (55006)."""
    statement = sql.SQL("ALTER DATABASE {} RENAME TO {}")
    with conn.transaction():
        for rename in renames:
            conn.execute(
                statement.format(sql.Identifier(rename.datname), sql.Identifier(rename.new_name))
            )


def converge(conn: Connection, wanted: Sequence[Rename], *, check_mode: bool) -> list[Rename]:
    """Make the renames that are due; return them (in check mode, without making them)."""
    due = plan(wanted, read(conn))
    if due and not check_mode:
        apply(conn, due)
        if left := plan(wanted, read(conn)):
            raise NotConvergedError(
                f"{left[0]} is due again: someone made a database of that name",
                hint="See who creates databases on this server, and run again.",
            )
    return due
