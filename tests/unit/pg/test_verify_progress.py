"""The figures of a verification's progress lines."""

import json

from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.progress import (
    VerifyProgress,
)


def test_figures_follow_what_was_read():
    now = [100.0]
    progress = VerifyProgress(None, "shop", clock=lambda: now[0])
    progress.start(parts=4, size_bytes=1000)
    now[0] = 102.0
    progress.add(rows=5, size_bytes=400, parts=2)
    read = progress.read()
    assert (read["phase"], read["rows"], read["parts_done"], read["parts_total"]) == (
        "compare", 5, 2, 4,
    )  # fmt: skip
    assert (read["bytes_per_s"], read["eta_s"]) == (200.0, 3.0)


def test_nothing_read_yet_has_no_estimate():
    assert VerifyProgress(None, "shop").read()["eta_s"] is None


def test_the_last_line_says_done_and_a_failure_does_not(tmp_path):
    path = tmp_path / "progress"
    progress = VerifyProgress(str(path), "shop")
    with progress.shown():
        progress.note("looking")
    events = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert events == ["note", "done"]
