# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Postgres server that something else made: an endpoint, looked at through Postgres itself.

Nothing can be made or changed here: ALTER SYSTEM is a superuser's, and a managed service keeps
its settings elsewhere. So a description that differs from what is found is refused with the
differences, for whoever owns the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ...errors import PreconditionError
from ...pg.connection import connect
from ..server import READY, Parameter, Server, Wanted

# What our own session, role or database sets hides the server's value, so it is left out.
PARAMETERS = """\
SELECT lower(name), current_setting(name, true), coalesce(pending_restart, false)
  FROM pg_settings
 WHERE source NOT IN ('client', 'session', 'interactive', 'test',
                      'user', 'database', 'database user')"""

VERSION = "SELECT current_setting('server_version_num')::int / 10000"

ELSEWHERE = "Change it where the server was made, then run again."


class ExistingPostgres:
    """Driver of servers that are only looked at; see server.Driver."""

    def __init__(self, endpoint: Mapping[str, Any]) -> None:
        self._endpoint = endpoint

    def read(self, name: str) -> Server | None:
        """Return the server at the endpoint. One that does not answer is an error, never absent."""
        with connect(name, self._endpoint) as conn:
            version = conn.execute(VERSION).fetchone()
            found = {row[0]: Parameter(row[1] or "", row[2]) for row in conn.execute(PARAMETERS)}
        return Server(
            name=name,
            state=READY,
            state_reason="",
            version=version[0] if version else 0,
            host=self._endpoint["host"],
            port=self._endpoint["port"],
            admin_user=self._endpoint["user"],
            parameters=found,
            pending_restart=any(parameter.pending_restart for parameter in found.values()),
            sslmode=self._endpoint["sslmode"],
            sslrootcert=self._endpoint.get("sslrootcert"),
            dbname=self._endpoint["dbname"],
            tells_all_parameters=False,
        )

    def create(self, wanted: Wanted) -> None:
        _refuse(f"{wanted.name} is described as existing, so it is never made")

    def update(self, name: str, changes: Mapping[str, Any]) -> None:
        differing = sorted({*changes, *changes.get("parameters", ())} - {"parameters"})
        named = ", ".join(differing)
        _refuse(f"{name} is described as existing, so this is never changed: {named}")

    def restart(self, name: str) -> None:
        _refuse(f"{name} is described as existing, so it is never restarted")

    def delete(self, name: str) -> None:
        _refuse(f"{name} is described as existing, so it is never deleted")

    def backups(self, name: str) -> Sequence[Mapping[str, Any]]:
        _refuse(f"{name} is described as existing, so its backups are not known")

    def back_up(self, name: str) -> Mapping[str, Any]:
        _refuse(f"{name} is described as existing, so its backups are made elsewhere")


def driver(settings: Mapping[str, Any], user: str | None, password: str | None) -> ExistingPostgres:
    """Return the driver of the server at ``settings["host"]``, seen as ``user``."""
    if not settings.get("host") or not user:
        raise PreconditionError(
            "provider existing needs the setting host, and admin_user to look at the server as"
        )
    return ExistingPostgres(
        {
            "host": settings["host"],
            "port": settings.get("port") or 5432,
            "dbname": settings.get("dbname") or "postgres",
            "user": user,
            "password": password,
            "sslmode": settings.get("sslmode") or "verify-full",
            "sslrootcert": settings.get("sslrootcert"),
        }
    )


def _refuse(message: str) -> NoReturn:
    raise PreconditionError(message, hint=ELSEWHERE)
