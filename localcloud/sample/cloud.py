"""Servers of the local cloud as the sample sees them: through the daemon's API, like anyone."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import files
from ..errors import Conflict, LocalCloudError, NotFound
from . import passwords
from .places import Places, folder

TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class CloudServer:
    """A server that is ready: where it is, its admin's name, its authority's certificate."""

    host: str
    port: int
    admin_user: str
    sslrootcert: Path

    def admin(self, password_file: Path) -> dict[str, Any]:
        """Return libpq's keywords for the admin."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": "postgres",
            "user": self.admin_user,
            "password": passwords.read(password_file),
            "sslmode": "verify-full",
            "sslrootcert": str(self.sslrootcert),
        }


def server(places: Places, cloud: str, name: str) -> CloudServer:
    """Return the server ``name`` of ``cloud``. Raise NotFound or Conflict if it cannot be used."""
    found = _get(places, f"/v1/clouds/{cloud}/postgres/{name}")
    if found["state"] != "ready":
        raise Conflict(f"server {name} of cloud {cloud} is {found['state']}, not ready")
    certificate = folder(places.certificate(f"{cloud}.{name}"))
    if not certificate.exists() or certificate.read_text(encoding="utf-8") != found["ca"]:
        files.write(certificate, found["ca"])
    return CloudServer(found["host"], found["port"], found["admin_user"], certificate)


def _get(places: Places, path: str) -> Mapping[str, Any]:
    description = files.read_json(places.api)
    if description is None:
        raise NotFound(f"the local cloud is not up: there is no {places.api}")
    request = urllib.request.Request(  # noqa: S310  # the daemon's own loopback address
        description["url"].rstrip("/") + path,
        headers={"Authorization": f"Bearer {description['token']}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            found: Mapping[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as exc:
        raise LocalCloudError(f"GET {path}: HTTP {exc.code}: {_message(exc)}") from exc
    except OSError as exc:
        raise LocalCloudError(f"the local cloud does not answer at {description['url']}") from exc


def _message(exc: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(exc)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return exc.reason
