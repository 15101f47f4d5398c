# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Postgres servers of a local cloud (localcloud/), asked through its daemon's API.

The daemon writes its address and token to api.json, which only its owner can read. It chooses a
free port at each start, so the file is read for each run and never remembered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from ...errors import ApiError, PreconditionError
from ...waiting import Deadline
from ..http import Client, RefusedError
from ..server import Parameter, Server, Wanted

START = "Start it with: python -m localcloud up"

# Error codes of a 409 that passes when the operation under way ends.
BUSY = frozenset({"operation_in_progress"})


class LocalPostgres:
    """Driver of one cloud's Postgres servers; see server.Driver."""

    def __init__(self, client: Client, cloud: str) -> None:
        self._client = client
        self._cloud = cloud

    def read(self, name: str) -> Server | None:
        try:
            answer = self._client.call("GET", self._path(name))
        except RefusedError as refused:
            # Only the API's own word counts: another program at this port says 404, too.
            if refused.status == 404 and refused.error_code == "not_found":
                self._client.call("GET", self._path())  # an unknown cloud has no servers, either
                return None
            raise
        return _server(answer)

    def create(self, wanted: Wanted) -> None:
        described = {
            field: value
            for field, value in asdict(wanted).items()
            if field != "name" and value is not None
        }
        self._client.call("PUT", self._path(wanted.name), described)

    def update(self, name: str, changes: Mapping[str, Any]) -> None:
        self._client.call("PATCH", self._path(name), changes)

    def restart(self, name: str) -> None:
        self._client.call("POST", self._path(name, "/restart"))

    def delete(self, name: str) -> None:
        self._client.call("DELETE", self._path(name))

    def backups(self, name: str) -> Sequence[Mapping[str, Any]]:
        answer = self._client.call("GET", self._path(name, "/backups"))
        found = answer.get("backups")
        if not isinstance(found, list):
            raise ApiError(
                f"cloud {self._cloud}: the list of {name}'s backups cannot be understood"
            )
        return found

    def back_up(self, name: str) -> Mapping[str, Any]:
        return self._client.call("POST", self._path(name, "/backups"))

    def _path(self, name: str | None = None, rest: str = "") -> str:
        servers = f"/v1/clouds/{quote(self._cloud, safe='')}/postgres"
        return servers if name is None else f"{servers}/{quote(name, safe='')}{rest}"


def driver(settings: Mapping[str, Any], deadline: Deadline) -> LocalPostgres:
    """Return the driver of ``settings["cloud"]``, found through the file ``settings["api"]``."""
    cloud, api = settings.get("cloud"), settings.get("api")
    if not cloud or not api:
        raise PreconditionError(
            "provider local needs the settings cloud (its name) and api (the path of api.json)"
        )
    url, token = _read_api(Path(api))
    return LocalPostgres(Client(f"cloud {cloud}", url, token, deadline, BUSY), cloud)


def _read_api(path: Path) -> tuple[str, str]:
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        url, token = str(described["url"]), str(described["token"])
    except FileNotFoundError:
        raise PreconditionError(
            f"the local cloud is not up: {path} is missing", hint=START
        ) from None
    except OSError as exc:
        raise PreconditionError(f"{path} cannot be read: {exc.strerror}") from None
    except (ValueError, TypeError, KeyError):
        raise PreconditionError(f"{path} does not hold a url and a token", hint=START) from None
    if urlsplit(url).scheme not in ("http", "https"):
        raise PreconditionError(f"{path} names {url}, which is no address of an HTTP API")
    return url, token


def _server(answer: Mapping[str, Any]) -> Server:
    try:
        return Server(
            name=answer["name"],
            state=answer["state"],
            state_reason=answer.get("state_reason") or "",
            version=int(answer["version"]),
            host=answer.get("host") or "",
            port=int(answer.get("port") or 0),
            admin_user=answer["admin_user"],
            parameters={
                name.lower(): Parameter(str(found["value"]), bool(found.get("pending_restart")))
                for name, found in (answer.get("parameters") or {}).items()
            },
            pending_restart=bool(answer.get("pending_restart")),
            firewall=answer.get("firewall"),
            backup=answer.get("backup"),
            high_availability=answer.get("high_availability"),
            storage_mb=answer.get("storage_mb"),
            ca=answer.get("ca"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise ApiError(f"the local cloud's description of a server lacks {exc}") from None
