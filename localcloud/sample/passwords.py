"""Passwords of the sample's roles: one file each, mode 0600, never anywhere else."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from ..errors import NotFound
from .places import folder


def read(path: Path) -> str:
    """Return the password in ``path``. Raise NotFound if there is none."""
    try:
        password = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        password = ""
    if not password:
        raise NotFound(f"no password in {path}")
    return password


def ensure(path: Path) -> str:
    """Return the password in ``path``, made if there is none; two makers agree on one."""
    try:
        return read(path)
    except NotFound:
        _create(folder(path))
        return read(path)


def _create(path: Path) -> None:
    # mkstemp's mode is 0600 from the start; link() fails if another process was first.
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(18))
        if path.exists() and not path.stat().st_size:
            path.unlink()
        path.hardlink_to(name)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()
