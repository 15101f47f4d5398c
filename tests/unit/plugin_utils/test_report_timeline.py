from itertools import pairwise

import pytest

from ansible_collections.landbridge.migration.plugins.plugin_utils.report import moments
from ansible_collections.landbridge.migration.plugins.plugin_utils.report.timeline import (
    Axis,
    lay_out,
    merge,
)
from tests.report import sample


def test_intervals_that_touch_are_one():
    assert merge([(5, 6), (0, 2), (1, 3), (3, 4)]) == [(0, 4), (5, 6)]


def test_short_gaps_stay_in_proportion():
    axis = Axis([(0, 50), (55, 100)])
    assert axis.cuts == []
    assert [axis.at(moment) for moment in (0, 25, 50, 55, 100)] == [0, 25, 50, 55, 100]


def test_a_day_between_runs_is_cut_to_a_sliver():
    axis = Axis([(0, 10), (86_400, 86_490)])
    (cut,) = axis.cuts
    assert cut.seconds == 86_390
    assert cut.width < 4
    assert axis.at(10) == pytest.approx(cut.left)
    assert axis.at(86_400) == pytest.approx(cut.left + cut.width, abs=0.01)
    assert axis.at(86_490) == pytest.approx(100)


def test_many_runs_leave_room_for_what_was_done():
    axis = Axis([(day * 86_400, day * 86_400 + 10) for day in range(40)])
    assert len(axis.cuts) == 39
    assert sum(cut.width for cut in axis.cuts) < 25
    assert axis.at(39 * 86_400 + 10) == pytest.approx(100)


def test_labels_never_overlap():
    labels = Axis([(n * 10, n * 10 + 1) for n in range(30)]).labels()
    lefts = [label.left for label in labels]
    assert all(after - before >= 16 for before, after in pairwise(lefts))
    roomy = [label.left for label in labels if label.roomy]
    assert 1 <= len(roomy) <= 2


def test_nothing_can_be_laid_out_too():
    assert Axis([]).labels() == []
    assert lay_out([]).rows == []


def test_a_moment_of_no_length_can_be_seen():
    stage = sample.whole()["stages"][0]
    for host in stage["hosts"]:
        host["finished"] = host["started"]
    (row,) = lay_out([stage]).rows
    assert all(bar.width > 0 and bar.left + bar.width <= 100 for bar in row.bars)


def test_bars_stay_on_the_axis():
    for row in lay_out(sample.whole()["stages"]).rows:
        for bar in row.bars:
            assert 0 <= bar.left <= bar.left + bar.width <= 100.001


@pytest.mark.parametrize("text", [None, "", "soon", 7])
def test_what_is_no_moment_is_none(text):
    assert moments.seconds(text) is None
    assert moments.normal(text) is None


def test_moments_are_utc_to_the_millisecond():
    assert moments.normal("2026-11-22T14:00:00.1234+02:00") == "2026-11-22T12:00:00.123Z"
    assert moments.normal("2026-11-22T12:00:00") == "2026-11-22T12:00:00.000Z"
