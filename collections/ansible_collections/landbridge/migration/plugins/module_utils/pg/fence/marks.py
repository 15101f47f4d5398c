# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Landbridge's marks in a database: the schema that a copy keeps its progress in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import NotConvergedError

if TYPE_CHECKING:
    from psycopg import Connection

READ = "SELECT to_regnamespace('landbridge') IS NOT NULL"
DROP = "DROP SCHEMA landbridge CASCADE"


def read(conn: Connection) -> bool:
    """Tell if the database has marks."""
    return conn.execute(READ).fetchone() == (True,)


def converge_absent(conn: Connection, *, check_mode: bool) -> bool:
    """Remove the marks; return whether there were any (in check mode, are)."""
    found = read(conn)
    if found and not check_mode:
        conn.execute(DROP)
        if read(conn):
            raise NotConvergedError("the schema landbridge was made again while it was dropped")
    return found
