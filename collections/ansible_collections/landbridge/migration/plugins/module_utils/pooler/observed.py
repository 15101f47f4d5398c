# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the admin console's lists mean; pure. Numbers come as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import PreconditionError
from .console import Row
from .pooler import Route


def row(rows: Sequence[Row], dbname: str) -> Row:
    """Return a database's row of SHOW DATABASES. Raise PreconditionError if there is none."""
    for each in rows:
        if each.get("name") == dbname:
            return each
    known = ", ".join(sorted(each.get("name") or "" for each in rows) or ["none"])
    raise PreconditionError(
        f"pooler: it knows no database {dbname}; it knows {known}",
        hint="Give it the name under which applications ask the pooler.",
    )


def route(rows: Sequence[Row], dbname: str) -> Route:
    """Return where SHOW DATABASES says that a database leads."""
    found = row(rows, dbname)
    return Route(
        host=found["host"] or "",
        port=int(found["port"] or 0),
        dbname=found["database"] or "",
        paused=found["paused"] == "1",
    )


def quiet(database: Row) -> bool:
    """Tell whether the database is paused and has no connection to its server any more."""
    return database["paused"] == "1" and database.get("current_connections") == "0"


def grows(pool: Row, size: int) -> bool:
    """Tell whether a login is under way, or will be as soon as PgBouncer looks at its clients."""
    if int(pool["sv_login"] or 0):
        return True
    servers = sum(int(pool[name] or 0) for name in ("sv_active", "sv_idle", "sv_used", "sv_tested"))
    return int(pool["cl_waiting"] or 0) > 0 and servers < size


def holders(servers: Sequence[Row], clients: Sequence[Row]) -> list[dict[str, Any]]:
    """Return who was in a transaction, the longest first: what both lists say of it."""
    by_pointer = {each["ptr"]: each for each in clients}
    held = [each for each in servers if (each["state"] or "").startswith("active")]
    return [
        {
            "user": each["user"],
            "pid": int(each["remote_pid"] or 0),
            "since": each["request_time"],
            "client": _address(by_pointer.get(each["link"])),
            "application_name": (by_pointer.get(each["link"]) or each).get("application_name"),
        }
        for each in sorted(held, key=lambda each: each["request_time"] or "")
    ]


def _address(client: Row | None) -> str | None:
    return f"{client['addr']}:{client['port']}" if client else None


def said(holder: Mapping[str, Any]) -> str:
    """Return a holder in words."""
    who = holder["application_name"] or holder["client"] or "a client"
    return f"{who} as {holder['user']}, server process {holder['pid']}, since {holder['since']}"
