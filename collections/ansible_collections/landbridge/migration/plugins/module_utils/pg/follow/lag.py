# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a subscriber is behind, and whether it is coming nearer. Pure: samples in, figures out.

A server tells positions, not ages. How old the last change is that was applied follows from when
the publisher wrote that position: between two samples by interpolation, before the first one at
the rate of those that there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

Trend = Literal["falling", "steady", "growing"]

# A lag within this is one of feedback, not of work: positions are reported as they change, and
# whatever else the server writes is confirmed with the next report.
SLACK_BYTES = 256 * 1024
SLACK_SHARE = 0.05


class Sample(NamedTuple):
    """Positions at one moment.

    :param at_s: seconds on the publisher's clock.
    :param written: what the publisher has written.
    :param applied: what the subscriber has confirmed.
    """

    at_s: float
    written: int
    applied: int

    @property
    def behind(self) -> int:
        return max(0, self.written - self.applied)


@dataclass(frozen=True, slots=True)
class Lag:
    """
    :param seconds: age of the oldest change that is not applied; None if nothing tells it.
    :param eta_s: when it will be within slack at this rate; None if it is not falling.
    """

    bytes: int
    seconds: float | None
    trend: Trend
    eta_s: float | None


def lag(samples: Sequence[Sample]) -> Lag:
    """Return the lag at the last of ``samples``, and how it went since the first."""
    first, last = samples[0], samples[-1]
    moved = last.behind - first.behind
    slack = max(SLACK_BYTES, SLACK_SHARE * first.behind)
    trend: Trend = "steady"
    if last.behind > SLACK_BYTES and abs(moved) > slack:
        trend = "falling" if moved < 0 else "growing"
    return Lag(last.behind, _age(samples), trend, _eta(first, last, trend))


def _eta(first: Sample, last: Sample, trend: Trend) -> float | None:
    if last.behind <= SLACK_BYTES:
        return 0.0
    elapsed = last.at_s - first.at_s
    if trend != "falling" or elapsed <= 0:
        return None
    return round(last.behind / ((first.behind - last.behind) / elapsed), 1)


def _age(samples: Sequence[Sample]) -> float | None:
    last = samples[-1]
    if not last.behind:
        return 0.0
    when = _written_at(samples, last.applied)
    return None if when is None else round(max(0.0, last.at_s - when), 3)


def _written_at(samples: Sequence[Sample], position: int) -> float | None:
    """Return when the publisher wrote ``position``; None if it wrote nothing to tell it by."""
    for one, other in pairwise(samples):
        if one.written <= position <= other.written and one.written < other.written:
            share = (position - one.written) / (other.written - one.written)
            return one.at_s + share * (other.at_s - one.at_s)
    first, last = samples[0], samples[-1]
    if last.written == first.written or last.at_s == first.at_s:
        return None
    rate = (last.written - first.written) / (last.at_s - first.at_s)
    return first.at_s - (first.written - position) / rate


def position(lsn: str) -> int:
    """Return an LSN's number of bytes.

    >>> position("1/16B3748")
    4318771016
    """
    high, low = lsn.split("/")
    return (int(high, 16) << 32) + int(low, 16)
