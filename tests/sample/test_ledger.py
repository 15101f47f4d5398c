"""What a ledger says and what comparing means: values only, no server."""

from datetime import UTC, datetime, timedelta

import pytest

from localcloud.sample import ledger
from localcloud.sample.check import Findings, compare
from localcloud.sample.ledger import Ledger, Outage, Record, Write, merge

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def told(*events):
    record = Record()
    for seconds, event, facts in events:
        record.take({"time": at(seconds).isoformat(), "event": event, "connection": 0, **facts})
    return record


def intent(key):
    return {"key": key, "rows": {"orders": 1}}


@pytest.mark.parametrize(
    "outcome,rows,findings",
    [
        ("acknowledged", 2, Findings()),
        ("acknowledged", 0, Findings(lost=["k (orders: 0 instead of 2)"])),
        ("acknowledged", 1, Findings(lost=["k (orders: 1 instead of 2)"])),
        ("acknowledged", 3, Findings(doubled=["k (orders: 3 instead of 2)"])),
        ("unknown", 0, Findings()),
        ("unknown", 2, Findings(unknown_there=1)),
        ("unknown", 1, Findings(torn=["k"])),
        ("unknown", 4, Findings(torn=["k"])),
        ("intent", 0, Findings()),
        ("intent", 2, Findings(unknown_there=1)),
        ("intent", 1, Findings(torn=["k"])),
        ("error", 0, Findings()),
        ("error", 2, Findings(risen=["k"])),
    ],
)
def test_rows_are_compared_with_what_the_outcome_promises(outcome, rows, findings):
    found = {"orders": {"k": rows} if rows else {}}
    assert compare({"k": Write(outcome, {"orders": 2})}, found) == findings


def test_a_write_that_lost_one_table_and_doubled_another_is_both():
    found = {"orders": {}, "lines": {"k": 3}}
    findings = compare({"k": Write("acknowledged", {"orders": 1, "lines": 2})}, found)
    assert findings.lost == ["k (orders: 0 instead of 1)"]
    assert findings.doubled == ["k (lines: 3 instead of 2)"]


def test_an_intent_without_outcome_stays_open_and_a_refused_one_may_be_tried_again():
    record = told(
        (0, "intent", intent("open")),
        (1, "intent", intent("again")),
        (2, "error", {"key": "again", "sqlstate": "40001"}),
        (3, "intent", intent("again")),
        (4, "acknowledged", {"key": "again", "wait_ms": 3000.0}),
        (5, "intent", intent("lost")),
        (6, "unknown", {"key": "lost", "sqlstate": None}),
    )
    assert {key: write.outcome for key, write in record.writes.items()} == {
        "open": "intent",
        "again": "acknowledged",
        "lost": "unknown",
    }
    assert record.longest_wait_ms == 3000.0
    assert record.errors == {"40001": 1, "connection": 1}


def test_an_outage_lasts_from_the_first_refusal_to_the_first_acknowledgement_after_it():
    record = told(
        (0, "intent", intent("a")),
        (1, "acknowledged", {"key": "a", "wait_ms": 1.0}),
        (2, "error", {"sqlstate": "57P01"}),
        (3, "error", {"sqlstate": None}),
        (9, "intent", intent("b")),
        (10, "acknowledged", {"key": "b", "wait_ms": 8000.0}),
        (20, "error", {"sqlstate": None}),
    )
    assert record.outages == [Outage(at(2), at(10)), Outage(at(20), None)]
    assert record.outages[0].seconds == 8
    assert record.refused_since == at(20)


def test_a_writer_that_is_stopped_ends_its_outage():
    record = told((0, "error", {"sqlstate": None}), (5, "stopped", {}), (60, "started", {}))
    assert record.outages == [Outage(at(0), at(5))]


@pytest.mark.parametrize(
    "outages,merged",
    [
        ([], []),
        ([(0, 2), (1, 3)], [(0, 3)]),
        ([(5, 6), (0, 1)], [(0, 1), (5, 6)]),
        ([(0, 9), (1, 2)], [(0, 9)]),
        ([(0, 2), (1, None)], [(0, None)]),
        ([(0, None), (1, 2)], [(0, None)]),
    ],
    ids=["none", "overlapping", "apart", "within", "open at last", "open at first"],
)
def test_outages_of_several_connections_are_united(outages, merged):
    def times(pairs):
        return [Outage(at(start), None if end is None else at(end)) for start, end in pairs]

    assert merge(times(outages)) == times(merged)


def test_what_is_appended_is_read_and_a_line_cut_off_is_counted(tmp_path):
    path = tmp_path / "ledger" / "shop.jsonl"
    with Ledger(path) as first:
        first.append("intent", connection=0, key="a", rows={"orders": 1})
        first.append("acknowledged", connection=0, key="a", wait_ms=1.0)
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("a") as file:
        file.write('{"time": "2026-')
    assert ledger.read(path).damaged == 0  # it may be being written
    with Ledger(path) as second:
        second.append("intent", connection=0, key="b", rows={"orders": 1})
    record = ledger.read(path)
    assert record.damaged == 1
    assert record.keys("acknowledged", "intent") == ["a", "b"]


def test_a_closed_ledger_takes_nothing(tmp_path):
    path = tmp_path / "shop.jsonl"
    with Ledger(path) as closed:
        pass
    closed.append("acknowledged", key="late")
    assert not path.read_text()
