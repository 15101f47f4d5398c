"""One cluster: etcd, the three programs of a control plane, and a node.

Its folder holds `pki`, `kubeconfig` and a folder for each process. Whoever opens it controls the
cluster: the daemon that started it, the next one, or a test.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import files, processes
from ..home import checkout
from . import pki
from .binaries import program
from .component import Component
from .configuration import (
    API_SERVER,
    AUDIT_POLICY,
    CONTROLLER_MANAGER,
    ETCD,
    NODE,
    NODE_NAME,
    SCHEDULER,
    Configuration,
    api_server_flags,
    controller_manager_flags,
    etcd_flags,
    kubeconfig,
    scheduler_flags,
)

START_TIMEOUT_S = 180.0
REQUEST_TIMEOUT_S = 5.0


class Cluster:
    """One cluster in one folder.

    cluster = Cluster(folder, configuration)
    cluster.create()
    cluster.stop()
    """

    def __init__(self, folder: Path, configuration: Configuration) -> None:
        self.folder = folder
        self.configuration = configuration
        self.admin_kubeconfig = kubeconfig(folder, "admin")
        self.audit_log = folder / API_SERVER / "audit.log"
        self._etcd = self._program(ETCD, etcd_flags(configuration, folder))
        self._api = self._program(API_SERVER, api_server_flags(configuration, folder))
        self._controllers = self._program(
            CONTROLLER_MANAGER, controller_manager_flags(configuration, folder)
        )
        self._scheduler = self._program(SCHEDULER, scheduler_flags(configuration, folder))
        self._node = Component(folder / NODE, self._node_command, _node_environment())
        self.components = [
            self._etcd, self._api, self._node, self._controllers, self._scheduler,
        ]  # fmt: skip

    def _program(self, name: str, flags: list[str]) -> Component:
        return Component(self.folder / name, lambda: [str(program("kubernetes", name)), *flags])

    def _node_command(self) -> list[str]:
        return [sys.executable, "-m", "localcloud.kubernetes.node", str(self.folder)]

    @property
    def ca(self) -> str:
        """What a client trusts; empty until the cluster is made."""
        path = self.folder / "pki" / "ca.pem"
        return path.read_text(encoding="ascii") if path.exists() else ""

    @property
    def pid(self) -> int | None:
        """The API server's pid, or None if one of the cluster's processes is missing."""
        if any(each.pid is None for each in self.components):
            return None
        return self._api.pid

    def create(self) -> None:
        """Make the cluster's files and start it. Run again, finish what is left."""
        program("kubernetes", API_SERVER)  # that nothing is built is told before anything is made
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        pki.make(self.configuration, self.folder)
        for each in (ETCD, API_SERVER, NODE):
            (self.folder / each).mkdir(mode=0o700, exist_ok=True)
        files.write(self.folder / API_SERVER / "audit.yaml", AUDIT_POLICY)
        files.write_json(self.folder / "cluster.json", self.configuration.described())
        self.start()

    def start(self) -> None:
        """Start what does not run; return when pods can be made and have a node to run on."""
        early = [self._etcd, self._api, self._node]
        for each in early:
            each.start()
        self._wait(self._api_ready, "the API server is ready", early)
        self._controllers.start()
        self._scheduler.start()
        self._wait(self._pods_can_be_made, "the cluster takes pods", self.components)

    def stop(self) -> None:
        """Stop the pods, then the rest, last what the others need. Not running is fine."""
        for each in (self._node, self._scheduler, self._controllers, self._api, self._etcd):
            each.stop()
        processes.kill_marked(self.folder)

    def remove(self) -> None:
        """Stop the cluster at once and delete its folder."""
        processes.kill_marked(self.folder)
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _wait(
        self, condition: Callable[[], bool], awaited: str, needed: Sequence[Component]
    ) -> None:
        """Wait for a condition. Raise LocalCloudError as soon as a process it needs has ended."""

        def checked() -> bool:
            for each in needed:
                each.check()
            return condition()

        name = self.configuration.name
        processes.wait_until(checked, START_TIMEOUT_S, f"{name}: {awaited}", poll=0.05)

    def _api_ready(self) -> bool:
        return self._get("/readyz") is not None

    def _pods_can_be_made(self) -> bool:
        """Whether the node takes pods, and pods may be made: they need the service account."""
        if self._get("/api/v1/namespaces/default/serviceaccounts/default") is None:
            return False
        node = json.loads(self._get(f"/api/v1/nodes/{NODE_NAME}") or "{}")
        conditions = node.get("status", {}).get("conditions", [])
        if node.get("spec", {}).get("taints"):  # not-ready, until the controllers have seen it
            return False
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def _get(self, path: str) -> bytes | None:
        """Return what the API server answers, or None if it has no such thing or is not there."""
        connection = http.client.HTTPSConnection(
            self.configuration.host,
            self.configuration.port,
            timeout=REQUEST_TIMEOUT_S,
            context=pki.tls_context(self.folder, "daemon"),
        )
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return text if answer.status == http.client.OK else None


def _node_environment() -> dict[str, str]:
    """Return the node's environment; its pods find our own Python's programs first.

    Pods get nothing of it but PATH: where the cache is, is for the node to know.
    """
    inherited = processes.environment()
    cache = {name: os.environ[name] for name in ("HOME", "XDG_CACHE_HOME") if name in os.environ}
    path = f"{Path(sys.executable).parent}:{inherited['PATH']}"
    return {**inherited, **cache, "PATH": path, "PYTHONPATH": str(checkout())}
