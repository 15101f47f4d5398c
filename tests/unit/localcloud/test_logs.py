"""What a container wrote, with its times, and the part of it that is asked for."""

import asyncio
import os
import re

import pytest

from localcloud.kubernetes.node import logs
from localcloud.kubernetes.node.logs import Query, read
from localcloud.kubernetes.node.output import Output, stamp

SECOND = 1_000_000_000
NOW = 1_700_000_000 * SECOND


def log(tmp_path, text):
    """A log of lines that were written a second apart, the last one now."""
    lines = text.splitlines(keepends=True)
    path = tmp_path / "0.log"
    with path.open("wb") as file:
        for number, line in enumerate(lines, 1):
            at = stamp(NOW - (len(lines) - number) * SECOND)
            kind = b"F" if line.endswith("\n") else b"P"
            file.write(at + b" " + kind + b" " + line.rstrip("\n").encode() + b"\n")
    return path


@pytest.mark.parametrize(
    "text, tail, found",
    [
        ("a\nb\nc\n", 2, "b\nc\n"),
        ("a\nb\nc", 2, "b\nc"),
        ("a\nb\n", 5, "a\nb\n"),
        ("a\n\n\n", 2, "\n\n"),
        ("a\nb\n", 0, ""),
        ("", 3, ""),
        ("a\nb\n", None, "a\nb\n"),
        ("x" * 100_000 + "\n" + "y" * 100_000 + "\n", 1, "y" * 100_000 + "\n"),
    ],
)
def test_the_last_lines_of_a_log_come_as_they_were_written(tmp_path, text, tail, found):
    assert read(log(tmp_path, text), Query(tail=tail)).decode() == found


def test_lines_may_be_asked_for_with_their_times_and_by_their_age(tmp_path):
    path = log(tmp_path, "a\nb\nc\n")
    asked = Query.of_request({"sinceSeconds": "1", "timestamps": "true"}, NOW)
    assert read(path, asked) == b"".join(
        stamp(NOW - age * SECOND) + b" " + text for age, text in ((1, b"b\n"), (0, b"c\n"))
    )
    since = Query.of_request({"sinceTime": "2023-11-14T22:13:20Z"}, 0)
    assert read(path, since) == b"c\n"
    assert read(path, Query.of_request({"limitBytes": "3"}, NOW)) == b"a\nb"


def test_a_line_that_is_still_being_written_is_left_for_later(tmp_path):
    path = log(tmp_path, "a\n")
    with path.open("ab") as file:
        file.write(stamp(NOW) + b" F half")
    assert read(path, Query()) == b"a\n"


def test_parameters_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="invalid literal"):
        Query.of_request({"tailLines": "many"}, NOW)


def test_the_newest_log_is_the_last_run_and_previous_is_the_one_before(tmp_path):
    assert logs.newest(tmp_path) is None
    for number in (2, 9, 10):
        (tmp_path / f"{number}.log").touch()
    assert logs.newest(tmp_path).name == "10.log"
    assert logs.newest(tmp_path, previous=True).name == "9.log"


def written(path, *chunks):
    """Write chunks through a pipe; return the log."""

    async def write():
        output = await Output.open(path)
        for chunk in chunks:
            os.write(output.pipe, chunk)
            await asyncio.sleep(0)
        output.started()
        await output.finish(10)

    asyncio.run(write())
    return path


def test_output_is_kept_line_by_line_with_times_that_only_grow(tmp_path):
    path = written(tmp_path / "0.log", b"one\ntw", b"o\n\nend")
    lines = path.read_bytes().splitlines()
    assert [line[31:] for line in lines] == [b"F one", b"F two", b"F ", b"P end"]
    times = [line[:30] for line in lines]
    assert times == sorted(set(times))
    assert all(re.fullmatch(rb"[-0-9]{10}T[:0-9]{8}\.\d{9}Z", each) for each in times)
    assert read(path, Query()) == b"one\ntwo\n\nend"


def test_a_line_without_end_is_kept_in_parts(tmp_path):
    path = written(tmp_path / "0.log", b"x" * 20_000, b"x" * 20_000, b"y\n")
    assert read(path, Query()) == b"x" * 40_000 + b"y\n"


def test_what_keeps_the_pipe_open_is_not_waited_for(tmp_path):
    async def write():
        output = await Output.open(tmp_path / "0.log")
        kept = os.dup(output.pipe)
        os.write(kept, b"said\n")
        output.started()
        await output.finish(0.2)
        os.close(kept)

    asyncio.run(write())
    assert read(tmp_path / "0.log", Query()) == b"said\n"
