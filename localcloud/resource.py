"""What a cloud keeps running: a record, and the thread that makes the world like it.

A request only adds steps to the record and is answered; the thread does them one after the
other. A step leaves the record when it is done, so a daemon that was killed goes on where the
last one was: every step may be done twice.
"""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import psycopg

from . import files
from .errors import Conflict, LocalCloudError
from .model import FAILED, READY, Kept, Step

LOOK_EVERY_S = 0.5

R = TypeVar("R", bound=Kept)


class Program(Protocol):
    """What runs: it outlives the daemon and is found again by what its folder holds."""

    @property
    def pid(self) -> int | None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def remove(self) -> None: ...


class Resource(ABC, Generic[R]):
    """One thing: its record at ``path`` (NAME.json), its files in the folder of that name.

    A step of kind K is done by the method ``_K``.
    """

    def __init__(
        self, record: R, path: Path, program: Program, deleted: Callable[[R], None]
    ) -> None:
        self.record = record
        self.path = path
        self.folder = path.with_suffix("")
        self._program = program
        self._deleted = deleted
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._leaving = False
        self._thread = threading.Thread(target=self._work, name=path.stem, daemon=True)

    @abstractmethod
    def told(self) -> dict[str, Any]:
        """Return what the API answers; no secret is in it."""

    def begin(self) -> None:
        """Start the thread. What had failed gets another chance."""
        if self.record.made:
            self.record.failure = ""
            self._start_if_dead()
        self._thread.start()

    def leave(self) -> None:
        """End the thread, if it was begun, after its step; then stop the program."""
        self._leaving = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self._program.stop()

    def request(self, *steps: Step, change: Callable[[R], None] | None = None) -> None:
        """Change the record and add steps, both or neither.

        Raise Conflict while something else is under way.
        """
        with self._lock:
            if self.record.state not in (READY, FAILED):
                raise Conflict(
                    f"{self.record.name} is {self.record.state}; wait until that is done",
                    code="operation_in_progress",
                )
            if change is not None:
                change(self.record)
            self.record.steps += steps
            self.record.failure = ""
            self._save()
        self._wake.set()

    def _save(self) -> None:
        files.write_json(self.path, asdict(self.record))

    # What the thread does

    def _work(self) -> None:
        while not self._leaving:
            step = self.record.steps[0] if self.record.steps else None
            try:
                self._do(step) if step else self._look()
                failure = ""
            except (LocalCloudError, psycopg.Error, OSError) as exc:
                failure = " ".join(str(exc).split()) or type(exc).__name__
            if step and step.kind == "delete" and not failure:
                return
            self._done(step, failure)
            if not self.record.steps:
                self._wake.wait(LOOK_EVERY_S)
                self._wake.clear()

    def _do(self, step: Step) -> None:
        getattr(self, f"_{step.kind}")(step.argument)

    def _done(self, step: Step | None, failure: str) -> None:
        """Take the step off the record. After a failure the rest would fail, too: all go."""
        with self._lock:
            if step and failure:
                self.record.steps.clear()
            elif step:
                self.record.steps.remove(step)
            if step or failure:
                self.record.failure = failure
                self._save()

    def _look(self) -> None:
        """See to what died. What failed waits for a request instead."""
        if self.record.made and not self.record.failure:
            self._start_if_dead()

    def _start_if_dead(self) -> None:
        with self._lock:
            if self._program.pid is None:
                self.record.steps.insert(0, Step("start"))

    def _start(self, _: str) -> None:
        self._program.start()

    def _delete(self, _: str) -> None:
        self._program.remove()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        self._deleted(self.record)
