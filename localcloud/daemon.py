"""The daemon: `localcloud serve`. One a folder, told from the lock it holds on daemon.lock.

Killed with SIGKILL it leaves its servers running, as a cloud's data plane outlives its control
plane. The next daemon knows them by their pid files and takes them up; without one,
`localcloud down` stops them itself.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from . import files, ports, processes
from .api import Api, ApiServer
from .clouds import Clouds
from .errors import LocalCloudError
from .home import Home

LOCK_TIMEOUT_S = 1.0


def serve(home: Home) -> None:
    """Answer the API until SIGTERM, SIGINT or a request to shut down; then stop all servers."""
    home.make()
    os.chdir(home.root)  # as its servers do: what works below the folder belongs to it
    with locked(home):
        clouds = Clouds(home)
        finished = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: finished.set())
        server = _listen(home, Api(clouds, finished.set))
        clouds.begin()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # Only now may a client find us.
        described = {"url": server.url, "token": server.token, "pid": os.getpid()}
        files.write_json(home.api, described)
        print(f"localcloud answers at {server.url}", file=sys.stderr, flush=True)
        finished.wait()
        server.shutdown()
        clouds.stop()


@contextmanager
def locked(home: Home) -> Iterator[None]:
    """Hold the daemon's lock. Raise LocalCloudError if another process does."""
    with home.lock.open("a+") as lock:
        # running() holds the lock for an instant; a daemon holds it for good.
        try:
            processes.wait_until(lambda: _lock(lock, fcntl.LOCK_EX), LOCK_TIMEOUT_S, "the lock")
        except LocalCloudError:
            lock.seek(0)
            raise LocalCloudError(
                f"a daemon runs already, process {lock.read().strip()}", code="running"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def running(home: Home) -> int | None:
    """Return the running daemon's pid, or None."""
    try:
        with home.lock.open() as lock:
            if not _lock(lock, fcntl.LOCK_SH):
                return int(lock.read().strip() or 0)
    except FileNotFoundError:
        pass
    return None


def _lock(file: TextIO, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _listen(home: Home, api: Api) -> ApiServer:
    """Listen at the port, and take the token, of the daemon before, if there was one."""
    before: dict[str, Any] = files.read_json(home.api) or {}
    token = before.get("token") or secrets.token_urlsafe(32)
    try:
        port = int(before["url"].rpartition(":")[2])
        return ApiServer(port, api, token)
    except (KeyError, OSError):
        return ApiServer(ports.free_port(["127.0.0.1"]), api, token)


def stop_without_daemon(home: Home) -> None:
    """Stop what a killed daemon left running."""
    with locked(home):
        Clouds(home).stop()
