"""PgBouncer's program: the system's own, or Debian's package unpacked into the cache folder.

A package is unpacked without root and without being installed. apt checks it against its signed
lists; where those were never fetched (only root may, for the system), they are into a folder of
ours.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import LocalCloudError
from ..files import cache_folder

PACKAGE = "pgbouncer"

# What a minimal system lacks of what PgBouncer is linked with. The names carry a version that
# differs by release (libevent-2.1-7, libevent-2.1-7t64), so they are asked for.
LIBRARIES = re.compile(r"libevent|libc-?ares")

# Where daemons are installed; a user's PATH may lack it.
SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin")

TIMEOUT_S = 120.0


class Program(NamedTuple):
    """The program, and what its environment needs beside the usual."""

    path: Path
    environment: dict[str, str]


def program() -> Program:
    """Return PgBouncer's program, fetched if need be. Raise LocalCloudError if it is not had."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS])
    if found := shutil.which(PACKAGE, path=folders):
        return Program(Path(found), {})
    folder = cache_folder() / PACKAGE
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _fetch(folder)
    return _unpacked(folder)


def _unpacked(folder: Path) -> Program:
    libraries = [str(path) for path in sorted(folder.glob("usr/lib/*-linux-*"))]
    return Program(folder / "usr/sbin" / PACKAGE, {"LD_LIBRARY_PATH": os.pathsep.join(libraries)})


def _fetch(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
        downloads, unpacked = Path(scratch) / "packages", Path(scratch) / "unpacked"
        downloads.mkdir()
        try:
            _download(downloads, [])
        except LocalCloudError:
            _download(downloads, _own_lists(downloads))
        for package in downloads.glob("*.deb"):
            _run(["dpkg", "-x", str(package), str(unpacked)], downloads)
        unpacked.chmod(0o755)
        unpacked.rename(folder)


def _own_lists(folder: Path) -> list[str]:
    """Fetch apt's lists into ``folder``; return the options that make apt use them."""
    options = []
    for name in ("State", "State::lists", "Cache"):
        path = folder / "apt" / name.replace("::", "/").lower()
        (path / "partial").mkdir(parents=True)
        options += ["-o", f"Dir::{name}={path}"]
    options += ["-o", "APT::Sandbox::User="]
    _run(["apt-get", *options, "update"], folder)
    return options


def _download(folder: Path, options: Sequence[str]) -> None:
    depends = _run(["apt-cache", *options, "depends", PACKAGE], folder)
    names = re.findall(r"Depends: ([a-z0-9.+-]+)", depends)
    wanted = [PACKAGE, *(name for name in names if LIBRARIES.match(name))]
    _run(["apt-get", *options, "-o", "APT::Sandbox::User=", "download", *wanted], folder)


def _run(argv: Sequence[str], folder: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # argv, no shell
            list(argv), cwd=folder, env={**os.environ, "LC_ALL": "C"}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise _missing(str(exc)) from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise _missing(f"{argv[0]}: {lines[-1]}")
    return done.stdout


def _missing(reason: str) -> LocalCloudError:
    return LocalCloudError(
        f"PgBouncer is not installed and could not be fetched ({reason});"
        " install it, on Debian by: apt-get install pgbouncer",
        code="missing",
    )
