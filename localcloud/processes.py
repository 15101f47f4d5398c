"""Processes that outlive their parent, and how they are known again by pid files and /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import LocalCloudError

# Postgres refuses to run as root; this is nobody on every Linux.
UNPRIVILEGED_UID = 65534

# Set for processes whose working folder may be anywhere: tells what folder they belong to.
ROOT_VARIABLE = "LOCALCLOUD_ROOT"

KILL_TIMEOUT_S = 30.0

CAP_DAC_READ_SEARCH = 1 << 2  # linux/capability.h


def is_root() -> bool:
    return os.geteuid() == 0


def unprivileged(argv: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """Return ``argv`` run as an ordinary user: as it is, or by setpriv if we are root.

    ``paths`` are what the process must reach. If one lies in a folder that only root may enter
    (a home folder), the process also gets the capability to pass it.
    """
    if not is_root():
        return list(argv)
    uid = f"{UNPRIVILEGED_UID}"
    command = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--no-new-privs"]
    if not all(_reachable(path) for path in paths):
        command += _reading_past_modes()
    return [*command, "--", *argv]


def _reading_past_modes() -> list[str]:
    """Return setpriv's options for a capability of ours that passes closed folders.

    Docker grants its containers dac_override only. Without no_setuid_fixup access(2), which
    Postgres asks for its own binary, would forget capabilities (access_override_creds in open.c).
    """
    status = Path("/proc/self/status").read_text()
    permitted = int(status.partition("CapPrm:")[2].split()[0], 16)
    name = "dac_read_search" if permitted & CAP_DAC_READ_SEARCH else "dac_override"
    return ["--securebits=+no_setuid_fixup", f"--inh-caps=+{name}", f"--ambient-caps=+{name}"]


def _reachable(path: Path) -> bool:
    """Tell whether others may enter every folder on the way to ``path``."""
    return all(parent.stat().st_mode & 0o001 for parent in path.absolute().parents)


def own(path: Path) -> None:
    """Give ``path`` to the user that unprivileged processes run as."""
    if is_root():
        os.chown(path, UNPRIVILEGED_UID, UNPRIVILEGED_UID)


def environment() -> dict[str, str]:
    """Return what a server's process gets of our environment: nothing that could be secret.

    It has no home: a server that connects to another one would look for a client's certificate
    there, and fails at a home that is somebody else's.
    """
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": "/dev/null"}


def spawn(
    argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None, cwd: Path = Path("/")
) -> subprocess.Popen[bytes]:
    """Start ``argv`` in a session of its own, its output appended to ``log`` (0600)."""
    with open(log, "ab", opener=_private) as output:  # Path.open has no opener
        return subprocess.Popen(  # noqa: S603  # argv, no shell
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=cwd,
            env=dict(environment() if env is None else env),
            start_new_session=True,
        )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def alive(pid: int) -> bool:
    """Tell whether ``pid`` runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def working_folder(pid: int) -> Path | None:
    """Return the folder that ``pid`` works in, or None if it is gone or not ours to see."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None


def children(pid: int) -> list[int]:
    """Return the pids that ``pid`` has started itself."""
    found = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(word) for word in tasks.read_text().split()]
        except OSError:
            continue
    return found


def marked(folder: Path) -> list[int]:
    """Return the pids that were started with a ROOT_VARIABLE at or below ``folder``."""
    return [pid for pid in _pids() if (root := _root(pid)) and root.is_relative_to(folder)]


def belonging_to(folder: Path) -> list[int]:
    """Return the pids that are marked with ``folder`` or work below it, a person's shell, too."""
    working = [
        pid
        for pid in _pids()
        if (where := working_folder(pid)) is not None and where.is_relative_to(folder)
    ]
    return sorted({*working, *marked(folder)})


def _pids() -> list[int]:
    found = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [pid for pid in found if alive(pid)]


def _root(pid: int) -> Path | None:
    try:
        pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    start = f"{ROOT_VARIABLE}=".encode()
    named = [pair[len(start) :] for pair in pairs if pair.startswith(start)]
    return Path(os.fsdecode(named[0])) if named else None


def kill_marked(folder: Path) -> None:
    """Kill the processes that are marked with ``folder``, and return when there is none."""

    def gone() -> bool:
        pids = marked(folder)
        for pid in pids:
            send(pid, signal.SIGKILL)
        return not pids

    wait_until(gone, KILL_TIMEOUT_S, f"the processes of {folder} are gone")


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal; that the process is gone already is no error."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def wait_until(
    condition: Callable[[], bool], timeout: float, awaited: str, poll: float = 0.02
) -> None:
    """Return as soon as ``condition()`` holds.

    Raise LocalCloudError naming ``awaited`` after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise LocalCloudError(f"{awaited}: not within {timeout:g} s", code="timeout")
        time.sleep(poll)
