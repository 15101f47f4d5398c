# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a child process (psql, pg_dump) reaches a server: without a secret in argv or environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..errors import PreconditionError
from ..process import secret_file
from .connection import DEFAULTS, LIMITS, session_options

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

# What a copy's sessions are known by, so that a killed one's can be told and ended.
APPLICATION_NAME = "landbridge pg_clone"

# A server that is busy with a row takes no more of them for a while, which to the kernel looks
# like a peer that vanished.
PATIENT = {"tcp_user_timeout": "600000"}

# Since these versions a server notices that its client is gone while a statement runs.
CHECKS_ITS_CLIENT = 140000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One side of a copy, as its children see it."""

    side: str
    conninfo: str
    env: Mapping[str, str]
    server_version: int


@contextmanager
def endpoint(
    side: str, server: Mapping[str, Any], server_version: int, **settings: str
) -> Iterator[Endpoint]:
    """Yield what children need to reach ``server``, its password in a file of libpq's format.

    :param settings: session settings beside those that every session of ours pins.
    """
    keywords = {
        name: value
        for name, value in server.items()
        if value is not None and name not in ("password",)
    }
    # Nothing of the user's own PG* variables may lead a child elsewhere.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    env |= {
        "LC_ALL": "C.UTF-8",
        "PGOPTIONS": session_options(**limits(server_version), **settings),
    }
    with secret_file(password_line(server.get("password") or "")) as passfile:
        known = {
            **DEFAULTS,
            **PATIENT,
            "application_name": APPLICATION_NAME,
            "passfile": str(passfile),
        }
        conninfo = psycopg.conninfo.make_conninfo(**known, **keywords)
        yield Endpoint(side, conninfo, env, server_version)


def limits(server_version: int) -> dict[str, str]:
    """Return the settings that only newer majors know: limits off, clients watched."""
    known = {name: "0" for name, since in LIMITS.items() if server_version >= since}
    if server_version >= CHECKS_ITS_CLIENT:
        known["client_connection_check_interval"] = "2000"
    return known


def password_line(password: str) -> str:
    """Return a line of a password file (libpq, section 32.16) that serves any server."""
    if "\n" in password or "\r" in password:
        raise PreconditionError(
            "a password with a line break in it cannot be handed to psql",
            hint="Give the role another password for the migration.",
        )
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    return f"*:*:*:*:{escaped}\n"
