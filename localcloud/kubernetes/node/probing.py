"""Asking a container, as long as it lives, whether it is well, and what follows from it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from .asking import Place, ask
from .probes import LIVENESS, READINESS, STARTUP, Timing, Verdict
from .status import Observed
from .surroundings import Surroundings

Object = dict[str, Any]

PROBES = {STARTUP: "startupProbe", READINESS: "readinessProbe", LIVENESS: "livenessProbe"}


class Probing:
    """The probes and hooks of one run of a container.

    :param started: set as soon as the container counts as started.
    :param end: ends the run, within so many seconds.
    """

    def __init__(
        self,
        spec: Object,
        observed: Observed,
        place: Place,
        pod: Surroundings,
        *,
        started: asyncio.Event,
        end: Callable[[float], Awaitable[None]],
    ) -> None:
        self._spec = spec
        self._observed = observed
        self._place = place
        self._pod = pod
        self._started = started
        self._end = end

    def begin(self) -> list[asyncio.Task[None]]:
        """Begin to ask; return the tasks, to be cancelled when the run is over."""
        self._observed.started = "startupProbe" not in self._spec
        self._observed.ready = self._observed.started and "readinessProbe" not in self._spec
        if self._observed.started:
            self._started.set()
        asking = [
            asyncio.create_task(self._probe(kind, self._spec[name]))
            for kind, name in PROBES.items()
            if name in self._spec
        ]
        if after_start := self._spec.get("lifecycle", {}).get("postStart"):
            asking.append(asyncio.create_task(self._after_start(after_start)))
        return asking

    async def _probe(self, kind: str, probe: Object) -> None:
        verdict = Verdict(kind, Timing.of_probe(probe))
        if kind != STARTUP:
            await self._started.wait()
        await asyncio.sleep(verdict.timing.initial_delay_s)
        while True:
            answer = await ask(probe, self._place, verdict.timing.timeout_s)
            changed = verdict.take(answer.success)
            if not answer.success:
                self._pod.tell("Unhealthy", f"{kind.title()} probe failed: {answer.message}", True)
            if changed:
                self._take(kind, bool(verdict.means))
            if kind == STARTUP and verdict.means:
                return
            if verdict.failed_for_good:
                text = f"Container {self._observed.name} failed {kind} probe, will be restarted"
                self._pod.tell("Killing", text, False)
                await self._end(probe.get("terminationGracePeriodSeconds", self._pod.grace_s))
                return
            await asyncio.sleep(verdict.timing.period_s)

    def _take(self, kind: str, means: bool) -> None:
        if kind == READINESS:
            self._observed.ready = means
        elif kind == STARTUP and means:
            self._observed.started = True
            self._observed.ready = "readinessProbe" not in self._spec
            self._started.set()
        self._pod.changed()

    async def _after_start(self, after_start: Object) -> None:
        if not await hook(after_start, "PostStart", self._place, self._pod, self._pod.grace_s):
            await self._end(self._pod.grace_s)


async def hook(
    wanted: Object, name: str, place: Place, pod: Surroundings, timeout_s: float
) -> bool:
    """Run a hook; tell and return False if it fails."""
    if "sleep" in wanted:
        await asyncio.sleep(min(wanted["sleep"]["seconds"], timeout_s))
        return True
    answer = await ask(wanted, place, timeout_s)
    if not answer.success:
        pod.tell(f"Failed{name}Hook", answer.message, True)
    return answer.success
