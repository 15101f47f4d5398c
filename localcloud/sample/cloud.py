"""Servers of the local cloud as the sample sees them: through the daemon's API, like anyone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..client import Client
from ..errors import Conflict
from ..home import Home
from ..model import READY
from . import passwords
from .places import Places


@dataclass(frozen=True, slots=True)
class CloudServer:
    """A server that is ready: where it is, its admin's name, its authority's certificate."""

    host: str
    port: int
    admin_user: str
    sslrootcert: Path

    @property
    def endpoint(self) -> dict[str, Any]:
        """libpq's keywords for reaching it."""
        return {
            "host": self.host,
            "port": self.port,
            "sslmode": "verify-full",
            "sslrootcert": str(self.sslrootcert),
        }

    def admin(self, password_file: Path) -> dict[str, Any]:
        """Return libpq's keywords for its admin."""
        login = {"user": self.admin_user, "password": passwords.read(password_file)}
        return {**self.endpoint, "dbname": "postgres", **login}


def server(places: Places, cloud: str, name: str) -> CloudServer:
    """Return a server that is ready. Raise LocalCloudError if it is not, or if there is none."""
    found = Client(Home(places.home)).read(cloud, name)
    if found["state"] != READY:
        raise Conflict(f"server {name} of cloud {cloud} is {found['state']}, not ready")
    certificate = places.home / "ca.pem"
    return CloudServer(found["host"], found["port"], found["admin_user"], certificate)
