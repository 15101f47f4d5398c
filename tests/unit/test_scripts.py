"""The test run's own bookkeeping."""

import threading
from collections import Counter

import pytest

from scripts.docs import marked
from scripts.tests import Cores, Outcome, counted, summary


@pytest.mark.parametrize(
    "line, found",
    [
        ("12 passed in 3.40s", {"passed": 12}),
        ("=== 1 failed, 11 passed, 2 skipped in 61.20s (0:01:01) ===", {
            "failed": 1, "passed": 11, "skipped": 2}),
        ("3 passed, 4 deselected, 1 error in 9.00s", {"passed": 3, "error": 1}),
        ("copied 12 tables in 3.4 s", {}),
    ],
    ids=["quiet", "framed", "error", "other"],
)  # fmt: skip
def test_pytests_closing_line_is_counted(line, found):
    assert counted(f"....\n{line}\n") == found


def test_the_summary_ends_with_one_count_in_which_a_linter_is_one():
    outcomes = [
        Outcome("ruff", 0, 0.2, Counter()),
        Outcome("unit", 1, 3.0, Counter(passed=7, failed=2, skipped=1)),
        Outcome("mypy", 2, 1.0, Counter()),
    ]
    lines = summary(outcomes, 4.2).splitlines()
    assert lines[-1] == "8 passed, 3 failed, 1 skipped"
    assert [line.split()[0] for line in lines[:-2]] == ["ruff", "unit", "mypy"]


def test_two_parts_never_hold_more_cores_than_there_are():
    cores, held, most = Cores(2), [], []

    def part():
        with cores.lent(5):  # more than there are: all of them
            held.append(1)
            most.append(len(held))
            held.pop()

    threads = [threading.Thread(target=part) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == [1] * 8


def test_ansibles_markup_becomes_markdown():
    text = "Set O(server.port) or V(5432), see M(landbridge.migration.pg_clone) and B(mind) I(it)."
    assert marked(text) == (
        "Set `server.port` or `5432`, see [pg_clone](../modules/pg_clone.md) and **mind** *it*."
    )
