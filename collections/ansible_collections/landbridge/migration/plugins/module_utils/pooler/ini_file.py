# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""PgBouncer's file where this process can reach it: replaced whole, in turn.

Databases cross side by side and share the file, so each change is made to what the file says at
that moment, under a lock on its folder, which leaves nothing behind and ends with its process. The
lock may be kept for longer than a change, so that one crossing's RELOAD does not meet another.
What costs time (writing, and waiting for the disk) can be done before: a file that has not changed
since is then only renamed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ..errors import PreconditionError
from ..waiting import Deadline, pauses, wait_for

TURN_WAIT_S = 10.0  # of a change that has not taken its turn before

Edit = Callable[[str], str]


class _Ready(NamedTuple):
    """A file written ahead: what it replaces, and what it says."""

    before: str
    after: str


class IniFile:
    """One file. ``purpose`` names what is written ahead, so that a killed run leaves one at most.

    Raise PreconditionError if the file cannot be read, or not replaced by one of the same owner.
    """

    def __init__(self, path: str, purpose: str) -> None:
        self.path = Path(path).resolve()
        self._ahead = self.path.with_name(f".{self.path.name}.landbridge-{quote(purpose, safe='')}")
        self._ready: _Ready | None = None
        self._turn: int | None = None

    def read(self) -> str:
        with self._told():
            return self.path.read_text(encoding="utf-8", errors="surrogateescape")

    def take_turn(self, deadline: Deadline) -> None:
        """Keep others from changing the file until `end_turn`. Raise DeadlineError if they do."""
        if self._turn is not None:
            return
        with self._told():
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            wait_for(
                lambda: _lock(folder),
                bool,
                what=f"another crossing at the pooler to end, which holds {self.path.parent}",
                deadline=deadline,
                last_seen=lambda _: "it is under way",
                between=pauses(0.001, 0.05),
            )
        except BaseException:
            os.close(folder)
            raise
        self._turn = folder

    def end_turn(self) -> None:
        if self._turn is not None:
            os.close(self._turn)
            self._turn = None

    def prepare(self, edit: Edit) -> None:
        """Write ahead what ``edit`` makes of the file now."""
        before = self.read()
        after = edit(before)
        if after != before:
            self._write(after)
            self._ready = _Ready(before, after)

    def change(self, edit: Edit) -> bool:
        """Replace the file by what ``edit`` makes of it; return whether that differs."""
        with self._in_turn():
            before = self.read()
            after = edit(before)
            if after == before:
                return False
            if self._ready != _Ready(before, after):
                self._write(after)
            with self._told():
                self._ahead.replace(self.path)
        self._ready = None
        return True

    def settle(self) -> None:
        """Wait until the disk knows the file by its name: what is not worth anybody's waiting."""
        with self._in_turn(), self._told():
            os.fsync(self._turn or 0)

    def forget(self) -> None:
        """Remove what was written ahead and is not needed."""
        self._ahead.unlink(missing_ok=True)
        self._ready = None

    def _write(self, text: str) -> None:
        """Write the file of the same owner and mode that is to take this one's place."""
        with self._told():
            like = self.path.stat()
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
            with os.fdopen(os.open(self._ahead, flags, 0o600), "wb") as file:
                if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), like.st_uid, like.st_gid)
                os.fchmod(file.fileno(), like.st_mode & 0o7777)
                file.write(text.encode(errors="surrogateescape"))
                file.flush()
                os.fsync(file.fileno())

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Hold the turn: the one that is kept, or one for this block alone."""
        kept = self._turn is not None
        self.take_turn(Deadline(TURN_WAIT_S))
        try:
            yield
        finally:
            if not kept:
                self.end_turn()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise PreconditionError(
                f"pooler: {self.path} cannot be changed here: {exc.strerror}",
                hint="Run where PgBouncer's file is, as its owner (or as root).",
            ) from exc


def _lock(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
