# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Place moments on an axis from 0 to 100, with the idle time between runs cut out.

A migration is prepared on Monday and crossed on Thursday: on a true axis its stages would be dots.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from . import moments, shape

LONG_GAP = 0.15  # of the busy time: a longer one is cut out
CUT_WIDTH = 0.04  # of the busy time: what is left of it
CUTS_WIDTH = 0.3  # at most, all cuts together
THINNEST = 0.4  # percent: a bar that short can be seen still
LABEL_ROOM = 16.0  # percent between two labels of the axis
PHONE_ROOM = 34.0  # the same on a phone's screen

Interval = tuple[float, float]


class Cut(NamedTuple):
    """Idle time that was cut out."""

    left: float
    width: float
    seconds: float


class Label(NamedTuple):
    left: float
    moment: float
    roomy: bool  # shown on a phone, too


class Bar(NamedTuple):
    left: float
    width: float
    row: shape.StageHost


class Row(NamedTuple):
    stage: shape.Stage
    left: float
    width: float
    bars: list[Bar]


class Timeline(NamedTuple):
    rows: list[Row]
    cuts: list[Cut]
    labels: list[Label]
    days: bool  # whether it spans more than one day


class Axis:
    """Map moments to percent: proportional while something is going on."""

    def __init__(self, intervals: list[Interval]) -> None:
        self._blocks = merge(intervals)
        busy = sum(end - start for start, end in self._blocks) or 1.0
        gaps = [after[0] - before[1] for before, after in pairwise(self._blocks)]
        long = [gap > LONG_GAP * busy for gap in gaps]
        width = min(CUT_WIDTH, CUTS_WIDTH / max(sum(long), 1)) * busy
        self._starts = [0.0][: len(self._blocks)]
        for block, gap, cut in zip(self._blocks, gaps, long, strict=False):
            length = block[1] - block[0]
            self._starts.append(self._starts[-1] + length + (width if cut else gap))
        last = self._blocks[-1] if self._blocks else (0.0, 0.0)
        self._length = sum(self._starts[-1:]) + last[1] - last[0] or 1.0
        self.cuts = [
            Cut(self._percent(start - width), self._percent(width), gap)
            for start, gap, cut in zip(self._starts[1:], gaps, long, strict=True)
            if cut
        ]

    def at(self, moment: float) -> float:
        """Return where a moment within the given intervals is."""
        for (start, end), offset in zip(self._blocks, self._starts, strict=True):
            if moment <= end:
                return self._percent(offset + max(moment - start, 0.0))
        return 100.0

    def labels(self) -> list[Label]:
        """Return the starts of blocks that have room for a label."""
        shown: list[Label] = []
        roomy = -PHONE_ROOM
        for (start, _unused), offset in zip(self._blocks, self._starts, strict=True):
            left = self._percent(offset)
            if left > 100 - LABEL_ROOM or (shown and left - shown[-1].left < LABEL_ROOM):
                continue
            fits = left - roomy >= PHONE_ROOM and left <= 100 - PHONE_ROOM
            roomy = left if fits else roomy
            shown.append(Label(left, start, fits))
        return shown

    def _percent(self, length: float) -> float:
        return round(100 * length / self._length, 3)


def merge(intervals: list[Interval]) -> list[Interval]:
    """Return the intervals in order, those that touch as one."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def lay_out(stages: list[shape.Stage]) -> Timeline:
    """Return the stages' bars, the cuts and the labels of the axis."""
    every = [interval for stage in stages for host in stage["hosts"] if (interval := _of(host))]
    axis = Axis(every)
    days = {moments.iso(moment)[:10] for interval in every for moment in interval}
    rows = [_row(stage, axis) for stage in stages]
    return Timeline(rows, axis.cuts, axis.labels(), len(days) > 1)


def _of(host: shape.StageHost) -> Interval | None:
    start, end = moments.seconds(host["started"]), moments.seconds(host["finished"])
    return (start, end) if start is not None and end is not None and start <= end else None


def _row(stage: shape.Stage, axis: Axis) -> Row:
    bars = [_bar(axis, interval, host) for host in stage["hosts"] if (interval := _of(host))]
    left = min((each.left for each in bars), default=0.0)
    right = max((each.left + each.width for each in bars), default=0.0)
    return Row(stage, left, round(right - left, 3), bars)


def _bar(axis: Axis, interval: Interval, host: shape.StageHost) -> Bar:
    left = min(axis.at(interval[0]), 100 - THINNEST)
    return Bar(left, max(round(axis.at(interval[1]) - left, 3), THINNEST), host)
