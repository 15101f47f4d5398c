import pytest

from ansible_collections.landbridge.migration.plugins.plugin_utils import figures


@pytest.mark.parametrize(
    "count, text",
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9999, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (640_000_000, "640 MB"),
        (1_340_000_000, "1.3 GB"),
        (5_000_000_000_000_000_000, "5000 PB"),
    ],
)
def test_a_size_has_two_or_three_digits(count, text):
    assert figures.size(count) == text


def test_done_and_total_share_the_totals_unit():
    assert figures.size_of(210_000_000, 640_000_000) == "210 of 640 MB"
    assert figures.size_of(64_000, 1_300_000_000) == "0.0 of 1.3 GB"


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0 ms"),
        (0.42, "420 ms"),
        (4.21, "4.2 s"),
        (9.97, "10 s"),
        (59.6, "1 min 0 s"),
        (72, "1 min 12 s"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_a_duration_is_as_fine_as_it_matters(seconds, text):
    assert figures.duration(seconds) == text


def test_one_row_is_a_row():
    assert [figures.rows(count) for count in (0, 1, 1234567)] == [
        "0 rows",
        "1 row",
        "1,234,567 rows",
    ]
