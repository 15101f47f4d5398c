"""A crossing that is killed, cut or met by a restart at any step: nothing lost, nothing twice.

Applications write through the pooler all the time, and others past it to both sides.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from itertools import product
from pathlib import Path

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import LandbridgeError
from ansible_collections.landbridge.migration.plugins.modules import pg_cutover
from tests.fix_crossing import hooked_cross

pytestmark = [pytest.mark.postgres, pytest.mark.fault]

ROOT = Path(__file__).parents[2]

POINTS = [
    "half made", "ready", "paused", "fenced", "drained", "opened", "switched", "resumed",
    "after cross", "after follow", "half dropped", "after drop",
]  # fmt: skip
DIRECTIONS = ["forward", "back"]

CHILD = """
import json, os, signal, sys
from tests.fix_crossing import hooked_cross
asked = json.load(sys.stdin)
at = asked.pop("at")
hooked_cross(**asked, hook=lambda point: point == at and os.kill(os.getpid(), signal.SIGKILL))
"""


@pytest.fixture
def killed(followed):
    """Return a function: a crossing in a process of its own that is killed at a point."""

    def run(direction, at):
        asked = {**followed.hooked(direction), "at": at}
        path = os.pathsep.join([str(ROOT), str(ROOT / "collections")])
        child = subprocess.run(
            [sys.executable, "-c", CHILD], input=json.dumps(asked), capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": path}, check=False, timeout=60,
        )  # fmt: skip
        assert child.returncode == -signal.SIGKILL, child.stderr

    return run


@contextmanager
def under_load(followed, writers, never_both, eventually):
    with writers(4) as written, never_both:
        written.more(eventually, 5)
        yield written


def opposite(direction):
    return "back" if direction == "forward" else "forward"


SERVES = {"forward": "target", "back": "source"}


@pytest.mark.sampled("direction, at, then", list(product(DIRECTIONS, POINTS, DIRECTIONS)), 4)
def test_a_crossing_killed_anywhere_is_ended_by_the_next_run(
    followed,
    writers,
    never_both,
    killed,
    run_module,
    require_whole,
    eventually,
    direction,
    at,
    then,
):
    changes = 0
    with under_load(followed, writers, never_both, eventually) as written:
        if direction == "back":
            followed.cross("forward")
            changes += 1
        killed(direction, at)
        done = run_module(pg_cutover, **followed.options(then))
        assert "evidence" in done, done
        assert done["evidence"]["serves"] == SERVES[then]
        assert done["evidence"]["way_back"] == "following"
        written.more(eventually, 5)
        assert run_module(pg_cutover, **followed.options(then))["changed"] is False
    never_both.require(changes + 2)
    assert written.failed == []
    require_whole(written, SERVES[then], direct=never_both)


FAULTS = [
    "source cut", "target cut", "source restarted", "target restarted", "target killed",
    "pooler restarted",
]  # fmt: skip
MOMENTS = [point for point in POINTS if point != "after drop"]


@pytest.fixture
def strike(followed, source_server, target_server, kill_sessions):
    """Return a function that does a fault of FAULTS."""

    def do(fault):
        side, what = fault.split()
        server = {"source": source_server, "target": target_server}.get(side)
        if side == "pooler":
            followed.pooled.bouncer.stop()
            followed.pooled.bouncer.start()
        elif what == "cut":
            kill_sessions(followed.source if side == "source" else followed.target)
        elif what == "restarted":
            server.restart()
        else:
            server.kill()
            server.start()

    return do


@pytest.mark.sampled("direction, at, fault", list(product(DIRECTIONS, MOMENTS, FAULTS)), 4)
def test_a_fault_at_any_step_loses_nothing(
    followed, writers, never_both, strike, run_module, require_whole, eventually, direction, at,
    fault
):  # fmt: skip
    changes, struck = 1, []
    with under_load(followed, writers, never_both, eventually) as written:
        if direction == "back":
            followed.cross("forward")
            changes += 1

        def hook(point):
            if point == at and not struck:
                struck.append(point)
                strike(fault)

        with suppress(LandbridgeError):
            hooked_cross(**followed.hooked(direction), hook=hook)
        assert struck

        def ended():
            done = run_module(pg_cutover, **followed.options(direction))
            return None if done.get("failed") else done

        done = eventually(ended, timeout=60)
        assert done["evidence"]["serves"] == SERVES[direction]
    never_both.require(changes)
    require_whole(written, SERVES[direction], direct=never_both, clean=False)
