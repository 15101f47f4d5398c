"""One container: a process that is started, asked whether it is well, stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...model import now
from .api import Refused
from .asking import Place, ask
from .backoff import BackOff, restart_wanted
from .environment import Missing
from .logs import Query, read
from .output import Output
from .probes import LIVENESS, READINESS, STARTUP, Timing, Verdict
from .status import Observed, Running, Terminated, Waiting

Object = dict[str, Any]

RETRY_S = 1.0
OUTPUT_TIMEOUT_S = 1.0
START_ERROR = 128
PROBES = {STARTUP: "startupProbe", READINESS: "readinessProbe", LIVENESS: "livenessProbe"}


class NotPulled(Exception):  # noqa: N818  # as the kubelet names it
    """There is no such image."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a container is started with."""

    argv: list[str]
    working_folder: Path
    place: Place


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a container needs of its pod."""

    prepare: Callable[[Object], Awaitable[Prepared]]
    changed: Callable[[], None]
    tell: Callable[[str, str, bool], None]
    logs: Path
    grace_s: float


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
        observed.started = "startupProbe" not in self.spec
        observed.ready = observed.started and "readinessProbe" not in self.spec
        if observed.started:
            self.started.set()
        self._pod.tell("Started", f"Started container {observed.name}", False)
        self._pod.changed()
        await self._live(process, output)
        code = process.returncode or 0
        code = 128 - code if code < 0 else code
        message = self._termination_message(code, log)
        reason = "Error" if code else "Completed"
        self._ended(Terminated(code, reason, started_at, now(), message, observed.container_id))

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

    async def _live(self, process: asyncio.subprocess.Process, output: Output) -> None:
        """Ask the container whether it is well until it ends, and end all that it has started."""
        asking = [
            asyncio.create_task(self._probe(kind, self.spec[name]))
            for kind, name in PROBES.items()
            if name in self.spec
        ]
        if hook := self.spec.get("lifecycle", {}).get("postStart"):
            asking.append(asyncio.create_task(self._after_start(hook)))
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

    # Probes and hooks

    async def _probe(self, kind: str, probe: Object) -> None:
        verdict = Verdict(kind, Timing.of_probe(probe))
        if kind != STARTUP:
            await self.started.wait()
        await asyncio.sleep(verdict.timing.initial_delay_s)
        while self._place is not None:
            answer = await ask(probe, self._place, verdict.timing.timeout_s)
            changed = verdict.take(answer.success)
            if not answer.success:
                self._pod.tell("Unhealthy", f"{kind.title()} probe failed: {answer.message}", True)
            if changed:
                self._take(kind, bool(verdict.means))
            if kind == STARTUP and verdict.means:
                return
            if verdict.failed_for_good:
                name = self.observed.name
                text = f"Container {name} failed {kind} probe, will be restarted"
                self._pod.tell("Killing", text, False)
                await self._end(probe.get("terminationGracePeriodSeconds", self._pod.grace_s))
                return
            await asyncio.sleep(verdict.timing.period_s)

    def _take(self, kind: str, means: bool) -> None:
        if kind == READINESS:
            self.observed.ready = means
        elif kind == STARTUP and means:
            self.observed.started = True
            self.observed.ready = "readinessProbe" not in self.spec
            self.started.set()
        self._pod.changed()

    async def _after_start(self, hook: Object) -> None:
        if not await self._hook(hook, "PostStart", self._pod.grace_s):
            await self._end(self._pod.grace_s)

    async def _hook(self, hook: Object, name: str, timeout_s: float) -> bool:
        """Run a hook; tell and return False if it fails."""
        if self._place is None:
            return True
        if "sleep" in hook:
            await asyncio.sleep(min(hook["sleep"]["seconds"], timeout_s))
            return True
        answer = await ask(hook, self._place, timeout_s)
        if not answer.success:
            self._pod.tell(f"Failed{name}Hook", answer.message, True)
        return answer.success

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
        if hook := self.spec.get("lifecycle", {}).get("preStop"):
            await self._hook(hook, "PreStop", grace_s)
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
