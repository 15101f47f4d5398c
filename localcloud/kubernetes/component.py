"""One process of a cluster, found again by whoever opens its folder."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .. import files, processes
from ..errors import LocalCloudError

STOP_TIMEOUT_S = 30.0


class Component:
    """A process that works in its folder, which also holds its pid file and its log."""

    def __init__(
        self,
        folder: Path,
        command: Callable[[], Sequence[str]],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.name = folder.name
        self.log = folder / "log"
        self._command = command
        given = processes.environment() if environment is None else environment
        self._environment = {**given, processes.ROOT_VARIABLE: str(folder)}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The running process's pid, or None. A pid that was reused works elsewhere."""
        try:
            pid = int((self.folder / "pid").read_text())
        except (OSError, ValueError):
            return None
        if self._process is not None:
            self._process.poll()  # reaps it, so that it is no zombie
        ours = processes.working_folder(pid) == self.folder.resolve()
        return pid if ours and processes.alive(pid) else None

    def start(self) -> None:
        """Start the process unless it runs."""
        if self.pid is None:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            processes.kill_marked(self.folder)  # one whose pid was not written down, and its pods
            self._process = processes.spawn(
                self._command(), self.log, self._environment, self.folder
            )
            files.write(self.folder / "pid", f"{self._process.pid}\n")

    def check(self) -> None:
        """Raise LocalCloudError with the process's last words if it has ended."""
        if self.pid is None:
            raise LocalCloudError(f"{self.name} has ended: {self._last_words()}")

    def stop(self) -> None:
        """End the process; kill it if it does not."""
        if (pid := self.pid) is None:
            return
        processes.send(pid, signal.SIGTERM)
        try:
            processes.wait_until(lambda: self.pid is None, STOP_TIMEOUT_S, f"{self.name} ends")
        except LocalCloudError:
            processes.send(pid, signal.SIGKILL)
            processes.wait_until(lambda: self.pid is None, STOP_TIMEOUT_S, f"{self.name} is killed")
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "it said nothing"
        return (lines or ["it said nothing"])[-1]
