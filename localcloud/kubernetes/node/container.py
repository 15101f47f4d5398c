"""One container: a process that is started, asked whether it is well, stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

from ...model import now
from .api import Refused
from .asking import Place
from .backoff import BackOff, restart_wanted
from .environment import Missing
from .logs import Query, read
from .output import Output
from .probing import Probing, hook
from .status import Observed, Running, Terminated, Waiting
from .surroundings import NotPulled, Prepared, Surroundings

Object = dict[str, Any]

RETRY_S = 1.0
OUTPUT_TIMEOUT_S = 1.0
START_ERROR = 128


class Container:
    """One container of a pod. `run` returns when it will not be run again."""

    def __init__(
        self, spec: Object, restart_policy: str, observed: Observed, pod: Surroundings
    ) -> None:
        self.spec = spec
        self.observed = observed
        self.started = asyncio.Event()
        self._restart_policy = restart_policy
        self._pod = pod
        self._back_off = BackOff()
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._place: Place | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    async def started_or_stopped(self) -> None:
        """Return as soon as the container has started, or is to stop."""
        waits = [asyncio.create_task(each.wait()) for each in (self.started, self._stopping)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def run(self) -> None:
        """Run the container as often as its policy wants."""
        while self._wanted() and not self._stopping.is_set():
            prepared = await self._prepared()
            if prepared is None:
                break
            begun = time.monotonic()
            await self._run_once(prepared)
            if self._wanted() and not self._stopping.is_set():
                await self._wait_for_restart(time.monotonic() - begun)
        self.observed.done = not self._stopping.is_set() or self.observed.has_run
        self._pod.changed()

    def _wanted(self) -> bool:
        state = self.observed.state
        if isinstance(state, Terminated):
            return restart_wanted(self._restart_policy, state.exit_code)
        return True

    async def _prepared(self) -> Prepared | None:
        """Return what to start, as soon as all of it is there; None if it is to stop before."""
        while not self._stopping.is_set():
            try:
                return await self._pod.prepare(self.spec)
            except NotPulled as exc:
                self._wait_with("ErrImagePull", str(exc))
            except (Missing, Refused, OSError, KeyError) as exc:
                self._wait_with("CreateContainerConfigError", str(exc))
            await self._pause(RETRY_S)
        return None

    def _wait_with(self, reason: str, message: str) -> None:
        if self.observed.state != Waiting(reason, message):
            self._remember()
            self.observed.state = Waiting(reason, message)
            self._pod.tell("Failed", f"Error: {message}", True)
            self._pod.changed()

    def _remember(self) -> None:
        """Keep how the last run ended, when another state takes its place."""
        if isinstance(self.observed.state, Terminated):
            self.observed.last = self.observed.state

    async def _run_once(self, prepared: Prepared) -> None:
        observed = self.observed
        if observed.has_run:
            self._remember()
            observed.restart_count += 1
        log, started_at = self._new_log(), now()
        output = await Output.open(log)
        try:
            process = await self._spawn(prepared, output.pipe)
        except OSError as exc:
            self._pod.tell("Failed", f"Error: {exc}", True)
            self._ended(Terminated(START_ERROR, "StartError", started_at, now(), str(exc)))
            return
        finally:
            output.started()
        self._process, self._place = process, prepared.place
        observed.container_id = f"process://{process.pid}"
        observed.state = Running(started_at)
        probing = Probing(
            self.spec, observed, prepared.place, self._pod, started=self.started, end=self._end
        )
        asking = probing.begin()
        self._pod.tell("Started", f"Started container {observed.name}", False)
        self._pod.changed()
        if self._stopping.is_set():  # while it was being started
            self._signal(signal.SIGTERM)
        await self._live(process, output, asking)
        self._ended(self._terminated(process.returncode or 0, started_at, log))

    async def _spawn(self, prepared: Prepared, pipe: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *prepared.argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            cwd=prepared.working_folder,
            env=dict(prepared.place.env),
            start_new_session=True,
        )

    def _new_log(self) -> Path:
        self._pod.logs.mkdir(parents=True, exist_ok=True)
        return self._pod.logs / f"{self.observed.restart_count}.log"

    async def _live(
        self,
        process: asyncio.subprocess.Process,
        output: Output,
        asking: list[asyncio.Task[None]],
    ) -> None:
        """Return when the process has ended, and with it all that it has started."""
        try:
            await process.wait()
        finally:
            for each in asking:
                each.cancel()
            self._signal(signal.SIGKILL)
            await output.finish(OUTPUT_TIMEOUT_S)
            self._process = None
            self.started.clear()

    def _ended(self, state: Terminated) -> None:
        self.observed.state = state
        self.observed.started = self.observed.ready = False
        self._pod.changed()

    def _terminated(self, returncode: int, started_at: str, log: Path) -> Terminated:
        """Return how a run ended; a signal's number counts from 128."""
        code = 128 - returncode if returncode < 0 else returncode
        message = self._termination_message(code, log)
        reason = "Error" if code else "Completed"
        return Terminated(code, reason, started_at, now(), message, self.observed.container_id)

    def _termination_message(self, code: int, log: Path) -> str:
        """Return the log's end if the container wants it told: terminationMessagePolicy."""
        policy = self.spec.get("terminationMessagePolicy")
        wanted = code != 0 and policy == "FallbackToLogsOnError"
        return read(log, Query(tail=80))[-2048:].decode(errors="replace") if wanted else ""

    async def _wait_for_restart(self, ran_s: float) -> None:
        delay_s = self._back_off.after(ran_s)
        if not delay_s:
            return
        self._remember()
        name = self.observed.name
        message = f"back-off {delay_s:.0f}s restarting failed container={name}"
        self.observed.state = Waiting("CrashLoopBackOff", message)
        self._pod.tell("BackOff", f"Back-off restarting failed container {name}", True)
        self._pod.changed()
        await self._pause(delay_s)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until the container is to stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    # Stopping

    async def stop(self, grace_s: float) -> None:
        """Stop the container for good, within its grace period."""
        self._stopping.set()
        if self.running:
            self._pod.tell("Killing", f"Stopping container {self.observed.name}", False)
            self.observed.ready = False
            self._pod.changed()
            await self._end(grace_s)

    async def _end(self, grace_s: float) -> None:
        """Run the preStop hook, send SIGTERM, and SIGKILL when the grace period is over."""
        begun = time.monotonic()
        before = self.spec.get("lifecycle", {}).get("preStop")
        if before and self._place is not None:
            await hook(before, "PreStop", self._place, self._pod, grace_s)
        if (process := self._process) is None:
            return
        self._signal(signal.SIGTERM)
        left_s = grace_s - (time.monotonic() - begun)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(left_s, 0.0)):
                await process.wait()
                return
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """Signal the process and what it has started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
