"""Bring the local cloud up and down: the commands around the daemon."""

from __future__ import annotations

import os
import shutil
import signal
import sys

from . import processes
from .client import Client
from .daemon import running, stop_without_daemon
from .errors import LocalCloudError
from .home import Home, checkout
from .sample import writers
from .sample.cli import WRITING
from .sample.places import Places

UP_TIMEOUT_S = 60.0
DOWN_TIMEOUT_S = 180.0


def up(home: Home) -> str:
    """Start the daemon unless it runs, wait till all it runs is ready; tell in a line."""
    home.make()
    started = None
    if running(home) is None:
        started = processes.spawn(
            [sys.executable, "-m", "localcloud", "serve"], home.log, _environment(home)
        )

    def answers() -> bool:
        if started is not None and started.poll() is not None and running(home) is None:
            raise LocalCloudError(f"the daemon did not start: {_last_line(home)}")
        return _answers(home)

    processes.wait_until(answers, UP_TIMEOUT_S, "the daemon answers", poll=0.05)
    client = Client(home)
    servers = client.servers()
    for server in servers:
        client.settle(server["cloud"], server["name"])
    poolers = client.poolers()
    for pooler in poolers:
        client.settle_pooler(pooler["cloud"], pooler["name"])
    clusters = client.clusters()
    for cluster in clusters:
        client.settle_cluster(cluster["cloud"], cluster["name"])
    if started is not None:
        started.returncode = 0  # it is to outlive us: no warning that it does
    how = "is up" if started else "was up already"
    count = f"{len(servers)} servers" + (f", {len(poolers)} poolers" if poolers else "")
    count += f", {len(clusters)} clusters" if clusters else ""
    return f"The local cloud {how}: {count}, state in {home.root}"


def _answers(home: Home) -> bool:
    try:
        return bool(running(home)) and bool(Client(home).call("GET", "/v1/clouds"))
    except LocalCloudError:
        return False  # not yet; what stays wrong is told by the deadline


def _last_line(home: Home) -> str:
    lines = home.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else f"{home.log} is empty"


def _environment(home: Home) -> dict[str, str]:
    return {**os.environ, "LOCALCLOUD_HOME": str(home.root), "PYTHONPATH": str(checkout())}


def down(home: Home, *, delete: bool = False) -> str:
    """Stop the writers, the daemon and all that runs; with ``delete``, remove all there was."""
    if not home.root.exists():
        return "The local cloud was never up"
    writers.stop(Places(home.root), WRITING)  # they would only write errors
    if pid := running(home):
        processes.send(pid, signal.SIGTERM)
        processes.wait_until(
            lambda: not processes.alive(pid), DOWN_TIMEOUT_S, "the daemon ends", poll=0.05
        )
    stop_without_daemon(home)  # what a killed daemon left; else there is nothing to do
    if delete:
        shutil.rmtree(home.root)
        return f"The local cloud is down, and {home.root} is deleted"
    return "The local cloud is down"
