# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of a direction, and what counts as small: what guards.py judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..finding import Finding
from .conflict import Conflict
from .facts import Publisher, Subscriber
from .lag import Lag

MB = 1 << 20

AGAIN = "Run dataxfer again: what is missing is copied in a new epoch."


@dataclass(frozen=True, slots=True)
class Limits:
    """What is small enough.

    :param lag_bytes: a cutover waits for no more than this.
    :param lag_s: and for nothing older.
    :param carried_bytes: how much of what is not followed the crossing copies itself.
    :param disk_free_bytes: of the publisher's server, where the provider tells it.
    """

    lag_bytes: int = 16 * MB
    lag_s: float = 5.0
    carried_bytes: int = 0
    disk_free_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """Everything that is known of a direction.

    :param sides: what the publisher and the subscriber are called.
    :param lag: None while there is no slot.
    :param ddl: what was changed on the publisher alone since the snapshot; None if not known.
    :param touched: what is not followed and was written to since then, and its size.
    :param conflicts: what is known of each subscription's error, by name.
    """

    publisher: Publisher
    subscriber: Subscriber
    lag: Lag | None
    sides: tuple[str, str] = ("source", "target")
    ddl: Sequence[str] | None = ()
    touched: Mapping[str, int] = field(default_factory=dict)
    conflicts: Mapping[str, Conflict] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)

    @property
    def names(self) -> set[str]:
        """Names of links that either side has anything of."""
        here, there = self.publisher, self.subscriber
        return {*here.publications, *here.slots, *there.subscriptions}


def blocker(code: str, name: str, message: str, remedy: str) -> Finding:
    """Return a finding that keeps the gate closed."""
    return Finding(code, "blocker", name, message, remedy)
