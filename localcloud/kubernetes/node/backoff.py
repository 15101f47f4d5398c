"""How long a container that ended waits before it is started again: the kubelet's figures."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S, LONGEST_S = 10.0, 300.0
FORGOTTEN_AFTER_S = 600.0


@dataclass(slots=True)
class BackOff:
    """The first restart is at once, the next ones wait twice as long each; a long run resets it."""

    delay_s: float = 0.0

    def after(self, ran_s: float) -> float:
        """Return how long to wait after a run of ``ran_s`` seconds."""
        if ran_s >= FORGOTTEN_AFTER_S:
            self.delay_s = 0.0
        wait_s = self.delay_s
        self.delay_s = min(max(FIRST_S, self.delay_s * 2), LONGEST_S)
        return wait_s


def restart_wanted(restart_policy: str, exit_code: int) -> bool:
    """Tell whether a container is run again."""
    return restart_policy == "Always" or (restart_policy == "OnFailure" and exit_code != 0)
