"""The folder that holds all there is to know about one pair of local clouds."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from . import files, processes

CLOUDS = ("old", "new")

# What a cloud keeps running, as the API's paths and the folders name it.
KINDS = ("postgres", "poolers", "kubernetes")


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one folder: nothing of the local clouds is kept anywhere else.

    api.json       where the daemon answers, and the token; 0600
    daemon.lock    locked by the daemon as long as it runs; holds its pid
    daemon.log
    ca.pem ca.key  the certificate authority
    secrets/ROLE   passwords, 0600
    clouds/CLOUD/postgres/NAME.json and NAME/   a server's record, its files and its backups
    clouds/CLOUD/poolers/NAME.json and NAME/    a pooler's record and its files
    clouds/CLOUD/kubernetes/NAME.json and NAME/ a cluster's record and its files
    clouds/CLOUD/images.json                    what its clusters run for an image, if anybody says
    """

    root: Path

    @classmethod
    def of_environment(cls) -> Home:
        """Return the folder that LOCALCLOUD_HOME names, or .localcloud in the checkout."""
        named = os.environ.get("LOCALCLOUD_HOME")
        return cls(Path(named).absolute() if named else checkout() / ".localcloud")

    @property
    def api(self) -> Path:
        return self.root / "api.json"

    @property
    def lock(self) -> Path:
        return self.root / "daemon.lock"

    @property
    def log(self) -> Path:
        return self.root / "daemon.log"

    def kept(self, cloud: str, kind: str) -> Path:
        return self.root / "clouds" / cloud / kind

    def servers(self, cloud: str) -> Path:
        return self.kept(cloud, "postgres")

    def images(self, cloud: str) -> Path:
        return self.root / "clouds" / cloud / "images.json"

    def make(self) -> None:
        """Make the folders; as root, others may pass through (not read) to their servers."""
        mode = 0o711 if processes.is_root() else 0o700
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(mode)
        for cloud in CLOUDS:
            for kind in KINDS:
                self.kept(cloud, kind).mkdir(parents=True, exist_ok=True)

    def secret(self, name: str) -> str:
        """Return the password kept for a role, made if there is none."""
        folder = self.root / "secrets"
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / name.replace("/", "_")
        if not path.exists():
            files.write(path, secrets.token_urlsafe(18), 0o600)
        return path.read_text(encoding="utf-8").strip()


def checkout() -> Path:
    """Return the folder that this package lies in."""
    return Path(__file__).parent.parent
