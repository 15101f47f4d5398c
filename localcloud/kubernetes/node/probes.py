"""Probes: how often each asks, and what so many answers mean. Asking itself is in `asking`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

STARTUP, READINESS, LIVENESS = "startup", "readiness", "liveness"


@dataclass(frozen=True, slots=True)
class Timing:
    """A probe's figures, with the API's defaults."""

    initial_delay_s: float
    period_s: float
    timeout_s: float
    success_threshold: int
    failure_threshold: int

    @classmethod
    def of_probe(cls, probe: Object) -> Timing:
        return cls(
            initial_delay_s=probe.get("initialDelaySeconds", 0),
            period_s=probe.get("periodSeconds", 10),
            timeout_s=probe.get("timeoutSeconds", 1),
            success_threshold=probe.get("successThreshold", 1),
            failure_threshold=probe.get("failureThreshold", 3),
        )


@dataclass(slots=True)
class Verdict:
    """What a probe's answers so far mean.

    Before enough answers have come a readiness or startup probe means no, a liveness probe yes.
    """

    kind: str
    timing: Timing
    in_a_row: int = 0
    last: bool | None = None
    means: bool | None = None

    def __post_init__(self) -> None:
        self.means = self.kind == LIVENESS

    def take(self, success: bool) -> bool:
        """Take an answer; return whether the verdict has changed."""
        self.in_a_row = self.in_a_row + 1 if success == self.last else 1
        self.last = success
        timing = self.timing
        threshold = timing.success_threshold if success else timing.failure_threshold
        before = self.means
        if self.in_a_row >= threshold:
            self.means = success
        return self.means != before

    @property
    def failed_for_good(self) -> bool:
        """Whether so many failures came in a row that the container is to be killed."""
        return (
            self.kind in (STARTUP, LIVENESS)
            and self.last is False
            and self.in_a_row >= self.timing.failure_threshold
        )
