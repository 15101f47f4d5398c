import json
import threading
from pathlib import Path

import pytest

from ansible_collections.landbridge.migration.plugins.plugin_utils import progress
from ansible_collections.landbridge.migration.plugins.plugin_utils.progress import (
    Follower,
    Tail,
    Throttle,
    describe,
    parse,
)

COPY = {
    "event": "progress",
    "database": "shop",
    "phase": "copy",
    "rows": 1_234_567,
    "rows_total": 4_000_000,
    "bytes": 210_000_000,
    "bytes_total": 640_000_000,
    "bytes_per_s": 118_400_000.0,
    "parts_done": 20,
    "parts_total": 32,
    "eta_s": 3.6,
    "message": "",
}


def test_a_copy_is_described_in_one_line():
    assert describe(COPY, "shop") == (
        "shop: copy 1,234,567 rows, 210 of 640 MB, 118 MB/s, 12 parts left, about 4 s to go"
    )


@pytest.mark.parametrize(
    "change, line",
    [
        ({"eta_s": None}, "1,234,567 rows, 210 of 640 MB, 118 MB/s, 12 parts left"),
        ({"parts_done": 31, "eta_s": 0.0}, "118 MB/s, 1 part left, about 1 s to go"),
        ({"bytes_total": 0}, "1,234,567 rows, 210 MB, 118 MB/s"),
        ({"bytes": 640_000_000}, "1,234,567 rows, 640 MB, 118 MB/s"),
        ({"message": "public.orders"}, "about 4 s to go (public.orders)"),
        ({"event": "done", "bytes": 640_000_000}, "shop: done 1,234,567 rows, 640 MB, 118 MB/s"),
    ],
    ids=["no-estimate", "last-part", "total-unknown", "bytes-all-there", "message", "done"],
)
def test_what_is_not_known_is_left_out(change, line):
    assert line in describe({**COPY, **change}, "shop")


@pytest.mark.parametrize(
    "growth, trend",
    [(-3_100_000, ", falling by 3.1 MB/s"), (200_000, ", growing by 200 kB/s"), (-5, "")],
    ids=["falling", "growing", "steady"],
)
def test_a_lag_is_told_with_its_trend(growth, trend):
    event = {"event": "progress", "phase": "following", "lag_bytes": 12_000_000, "lag_s": 0.42,
             "lag_bytes_per_s": growth}  # fmt: skip
    line = f"shop: following 12 MB or 420 ms behind{trend}"
    assert describe(parse(json.dumps(event).encode()), "shop") == line
    unknown = parse(json.dumps({**event, "lag_s": None}).encode())
    assert describe(unknown, "shop") == line.replace(" or 420 ms", "")


def test_a_phase_without_figures_is_named_alone():
    assert describe({"event": "progress", "phase": "constraints"}, "shop") == "shop: constraints"


def test_a_note_is_its_message():
    assert describe({"event": "note", "message": "resumed 12 parts"}, "shop") == (
        "shop: resumed 12 parts"
    )


def test_a_hostile_name_cannot_paint_the_terminal_or_fill_it():
    line = describe({"event": "note", "message": "\x1b[2J\r\n" + "x" * 1000}, "shop")
    assert line.startswith("shop: ?[2J??x")
    assert len(line) == progress.LONGEST


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b'"x"', b"{}", b'{"event": 7}', b'{"rows": 1}', b"\xff\xfe"],
    ids=repr,
)
def test_a_line_that_is_no_event_is_ignored(line):
    assert parse(line) is None


def test_figures_of_the_wrong_type_are_ignored_one_by_one():
    line = json.dumps({**COPY, "rows": "many", "eta_s": -1, "surprise": 1}).encode()
    event = parse(line)
    assert "rows" not in event
    assert "surprise" not in event
    assert describe(event, "shop") == "shop: copy 210 of 640 MB, 118 MB/s, 12 parts left"


def test_only_the_newest_progress_is_said_and_once_a_period():
    throttle = Throttle("shop", period_s=2)
    throttle.take([{**COPY, "rows": rows} for rows in (1, 2, 3)])
    assert len(throttle.due(10.0)) == 1
    assert throttle.due(10.1) == []
    throttle.take([{**COPY, "rows": 4}, {**COPY, "rows": 5}])
    assert throttle.due(11.9) == []
    assert throttle.due(12.0)[0].startswith("shop: copy 5 rows")
    assert throttle.due(20.0) == []


def test_notes_are_all_said_each_once():
    throttle = Throttle("shop", period_s=2)
    throttle.take([{"event": "note", "message": text} for text in "abc"])
    assert [*throttle.due(0), *throttle.due(2)] == ["shop: a", "shop: b"]
    assert throttle.rest() == ["shop: c"]


def test_at_the_end_the_total_is_said_unless_nothing_was_moved():
    moved, idle = Throttle("shop"), Throttle("shop")
    moved.take([COPY, {"event": "done", "rows": 7, "bytes": 0}])
    idle.take([{"event": "done", "rows": 0, "bytes": 0}])
    assert moved.rest() == ["shop: done 7 rows"]
    assert idle.rest() == []


def test_a_half_written_line_waits_for_its_rest(tmp_path):
    path = tmp_path / "progress.jsonl"
    tail = Tail(path)
    assert tail.read() == []
    path.write_text('{"event": "note", "message": "a"}\n{"event": "no')
    assert [event["message"] for event in tail.read()] == ["a"]
    with path.open("a") as file:
        file.write('te", "message": "b"}\n')
    assert [event["message"] for event in tail.read()] == ["b"]


def test_what_an_earlier_run_wrote_is_not_said_again(tmp_path):
    path = tmp_path / "progress.jsonl"
    path.write_text('{"event": "note", "message": "old"}\n')
    assert Tail(path).read() == []


def test_lines_are_said_while_the_file_grows(tmp_path):
    path = tmp_path / "progress.jsonl"
    said: list[str] = []
    heard = threading.Event()

    def say(line):
        said.append(line)
        heard.set()

    with Follower(Tail(path), Throttle("shop"), say, clock=lambda: 0.0):
        path.write_text(json.dumps(COPY) + "\n")
        assert heard.wait(5)
        path.write_text(path.read_text() + '{"event": "done", "rows": 9}\n')
    assert said[0].startswith("shop: copy")
    assert said[1:] == ["shop: done 9 rows"]


def test_a_listener_that_is_gone_ends_the_follower_quietly(tmp_path):
    path = tmp_path / "progress.jsonl"

    def say(line):
        raise BrokenPipeError

    follower = Follower(Tail(path), Throttle("shop"), say, clock=lambda: 0.0)
    with follower:
        path.write_text(json.dumps(COPY) + "\n")
    assert not follower.is_alive()


def test_the_reference_names_every_field():
    text = (Path(__file__).parents[3] / "docs/reference/progress.md").read_text()
    assert [name for name in progress.Event.__annotations__ if f"`{name}`" not in text] == []
