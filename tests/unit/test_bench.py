"""What the benchmark makes of its runs."""

import pytest

from bench.clone.measure import Measured, run
from bench.clone.results import Scenario, page, spread, table


def scenario(ours, theirs):
    runs = {
        "pg_clone": [Measured(s, 1.0, 80) for s in ours],
        "pg_dump/pg_restore": [Measured(s, 9.0, 20) for s in theirs],
    }
    return Scenario("mixed", "Mixed database", 0.9, 1331, runs)


def test_a_ratio_is_of_one_pair_so_that_a_slow_hour_counts_for_both():
    assert scenario([10, 40], [20, 50]).ratios() == [0.5, 0.8]


def test_a_pair_that_lacks_a_run_is_refused():
    with pytest.raises(ValueError, match="argument 2 is longer"):
        scenario([10], [20, 50]).ratios()


def test_the_spread_is_the_median_and_the_range():
    assert spread([3.0, 1.0, 2.0], 1) == "2.0 (1.0 to 3.0)"


def test_the_table_gives_the_ratios_and_the_aim():
    text = table(scenario([10, 40], [20, 50]))
    assert "Ratio per pair: 0.50, 0.80; median 0.65 (0.50 to 0.80). Aim: at most 0.9." in text
    assert "| pg_clone | 25.0 (10.0 to 40.0) | 1.0 (1.0 to 1.0) | 80 |" in text


def test_the_page_names_the_machine_and_the_command():
    text = page([scenario([1], [2])], {"cores": "2"}, "python -m bench.clone --scale 0.5")
    assert "by `python -m bench.clone --scale 0.5`. cores 2." in text


def test_a_second_command_adds_time_and_keeps_the_higher_memory():
    assert Measured(1, 2, 30).plus(Measured(4, 5, 20)) == Measured(5, 7, 30)


def test_memory_and_processor_time_of_grandchildren_count(tmp_path):
    script = (
        "x = bytearray(60_000_000); sum(i for i in range(5_000_000)); import time; time.sleep(.5)"
    )
    argv = ["bash", "-c", f"python3 -c '{script}'; true"]
    measured = run(argv, {"PATH": "/usr/bin:/bin"}, tmp_path / "log")
    assert measured.peak_memory_mb > 55
    assert 0.05 < measured.cpu_s <= measured.elapsed_s
