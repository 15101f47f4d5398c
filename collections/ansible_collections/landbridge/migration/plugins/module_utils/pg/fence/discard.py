# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Dropping a copy that nobody was let into: the fence's record says so, or it is not dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import PreconditionError
from .access import NEVER_OPENED, read_standing

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection


def converge_absent(conn: Connection, datname: str, *, check_mode: bool) -> bool:
    """Drop ``datname``; return whether it was there (in check mode, is).

    Raise PreconditionError unless its fence says that nobody was let in since it was made.
    """
    found = read_standing(conn, datname)
    if not found["exists"]:
        return False
    if found["note"] != NEVER_OPENED:
        raise PreconditionError(
            f"{datname} may hold what someone wrote to it: it is not dropped",
            hint="If it is of no use, drop it by hand.",
        )
    if not check_mode:
        conn.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(datname)))
    return True
