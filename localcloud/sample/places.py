"""Where the sample platform keeps what it knows: files in the local cloud's own folder.

secrets/<role>             one password, mode 0600
names.json                 where each database's name points to now, mode 0600
sample/writers/<name>.*    a writer's lock (with its pid) and log
sample/ledger/<name>.jsonl what the writers did, line by line
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """The paths under one home. `folder(path)` makes a file's folder, for this user only."""

    home: Path

    @property
    def names(self) -> Path:
        return self.home / "names.json"

    def password(self, role: str) -> Path:
        return self.home / "secrets" / role

    def lock(self, name: str) -> Path:
        return self.home / "sample" / "writers" / f"{name}.lock"

    def log(self, name: str) -> Path:
        return self.home / "sample" / "writers" / f"{name}.log"

    def ledger(self, name: str) -> Path:
        return self.home / "sample" / "ledger" / f"{name}.jsonl"


def folder(path: Path) -> Path:
    """Make the folders above ``path`` that are missing, closed to others; return ``path``."""
    for parent in reversed(path.parents):
        if not parent.exists():
            parent.mkdir(mode=0o700, exist_ok=True)
    return path
