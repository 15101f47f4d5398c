"""How far behind a subscriber is, from samples of positions. No server."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.lag import (
    Sample,
    lag,
    position,
)

MB = 1 << 20


def samples(*behind, rate=MB):
    """One a second, while ``rate`` bytes a second are written."""
    return [
        Sample(at_s, 100 * MB + at_s * rate, 100 * MB + at_s * rate - each)
        for at_s, each in enumerate(behind)
    ]


@pytest.mark.parametrize(
    "behind, trend, eta_s",
    [
        pytest.param([0, 0], "steady", 0.0, id="nothing"),
        pytest.param([100, 0, 9000], "steady", 0.0, id="feedback-only"),
        pytest.param([40 * MB, 20 * MB], "falling", 1.0, id="falling"),
        pytest.param([40 * MB, 36 * MB, 30 * MB], "falling", 6.0, id="falling-slowly"),
        pytest.param([20 * MB, 40 * MB], "growing", None, id="growing"),
        pytest.param([40 * MB, 41 * MB], "steady", None, id="within-a-twentieth"),
        pytest.param([40 * MB], "steady", None, id="one-look"),
    ],
)
def test_the_trend_is_told_by_the_first_and_the_last_sample(behind, trend, eta_s):
    found = lag(samples(*behind))
    assert (found.bytes, found.trend, found.eta_s) == (behind[-1], trend, eta_s)


def test_a_change_is_as_old_as_the_position_it_was_written_at():
    assert lag(samples(0, 0, MB)).seconds == 1.0
    assert lag(samples(0, 0, MB // 2)).seconds == 0.5


def test_a_change_from_before_the_first_sample_is_dated_by_the_rate_of_writing():
    assert lag(samples(5 * MB, 5 * MB)).seconds == 5.0


def test_without_writes_nothing_tells_a_changes_age():
    assert lag(samples(5 * MB, 4 * MB, rate=0)).seconds is None


def test_all_that_is_applied_is_no_seconds_old():
    assert lag(samples(0, 0, rate=0)).seconds == 0.0


def test_a_position_confirmed_ahead_of_the_reading_is_no_lag():
    assert lag([Sample(0, 100, 120), Sample(1, 100, 120)]).bytes == 0


def test_a_position_is_a_number_of_bytes():
    assert position("1/16B3748") - position("0/FFFFFFFF") == 0x16B3749
