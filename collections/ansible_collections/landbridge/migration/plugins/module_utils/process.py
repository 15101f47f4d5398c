# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Child processes that never outlive us, and passwords handed to them as files.

A killed module leaves its psql running until the COPY ends, and a COPY whose peer is gone looks
complete to the other end. So every child asks the kernel to be killed with the thread that made
it (PR_SET_PDEATHSIG), which no signal handler of ours could do for SIGKILL.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1  # linux/prctl.h

# Loaded before any fork: between fork and exec nothing may be imported.
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)


def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own that dies with the calling thread."""
    parent = os.getpid()

    def die_with_parent() -> None:
        if _PRCTL:
            _PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it went between fork and prctl
            os._exit(1)

    return subprocess.Popen(  # noqa: S603 - argv holds our own binaries and no shell
        [str(arg) for arg in argv],
        env=dict(env),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        process_group=0,
        preexec_fn=die_with_parent,  # it calls prctl and getppid only
    )


def end(child: subprocess.Popen[bytes]) -> None:
    """Kill what still runs of the child's group, and reap the child."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@contextmanager
def secret_file(text: str) -> Iterator[Path]:
    """Hold ``text`` in a file that only this user's processes can read, gone when we are.

    It lies in memory where the kernel allows that, so a killed module leaves nothing behind.
    """
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile("w", prefix="landbridge-") as file:  # made with mode 0600
            file.write(text)
            file.flush()
            yield Path(file.name)
        return
    fd = os.memfd_create("landbridge", 0)
    try:
        os.fchmod(fd, 0o600)  # libpq ignores a password file that others may read
        os.write(fd, text.encode())
        yield Path(f"/proc/{os.getpid()}/fd/{fd}")
    finally:
        os.close(fd)
