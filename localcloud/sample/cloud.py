"""What the sample sees of the local cloud: through the daemon's API, like anyone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..client import Client, pooler_path
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
        return endpoint(self.host, self.port, self.sslrootcert)

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


def pooler(places: Places, cloud: str, name: str) -> dict[str, Any]:
    """Return libpq's keywords for a pooler. Raise LocalCloudError if it is not ready."""
    found = Client(Home(places.home)).call("GET", pooler_path(cloud, name))
    if found["state"] != READY:
        raise Conflict(f"pooler {name} of cloud {cloud} is {found['state']}, not ready")
    return endpoint(found["host"], found["port"], places.home / "ca.pem")


def endpoint(host: str, port: int, sslrootcert: Path) -> dict[str, Any]:
    """Return libpq's keywords for reaching what the local cloud runs."""
    return {
        "host": host,
        "port": port,
        "sslmode": "verify-full",
        "sslrootcert": str(sslrootcert),
    }
