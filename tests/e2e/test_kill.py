"""A control process that is killed, and servers that go away: the next run ends the same."""

import os
import signal
from pathlib import Path

import pytest

from .conftest import APP_PASSWORD, STAGES, connect

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.fault]

HOOK = """
- name: Say that the stage's work is done
  ansible.builtin.copy: {{content: "", dest: "{reached}", mode: "0600"}}
- name: Wait to be killed
  ansible.builtin.wait_for: {{path: "{folder}/never", timeout: 120, sleep: 1}}
"""


@pytest.fixture
def stop_after(migration, eventually):
    """Return a function: run until a stage's work is done and not yet recorded, then kill -9."""

    def stop(stage):
        reached = migration.folder / f"reached-{stage}"
        hook = migration.folder / "hook.yml"
        hook.write_text(HOOK.format(reached=reached, folder=migration.folder))
        migration.variables["landbridge_hooks"] = {stage: {"after": [str(hook)]}}
        run = migration.start("--limit", "shop")
        try:
            eventually(lambda: reached.exists() or run.poll() is not None, timeout=90)
            assert run.poll() is None, (migration.folder / "output").read_text()
        finally:
            os.kill(run.pid, signal.SIGKILL)
            run.wait()
        del migration.variables["landbridge_hooks"]
        eventually(lambda: not processes_with(migration.folder), timeout=20)

    return stop


def processes_with(folder):
    """The command lines of processes that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended
        if str(folder) in line:
            found.append(line)
    return found


def orders(server):
    with connect(server, user="shop_app", password=APP_PASSWORD) as conn:
        return conn.execute("SELECT count(*), max(id) FROM orders").fetchone()


@pytest.mark.long
def test_killed_in_every_stage_in_turn_the_last_run_ends_the_same(migration, stop_after):
    for stage in STAGES:
        stop_after(stage)
    last = migration.run("--limit", "shop")
    assert last.returncode == 0, last.output
    assert orders(migration.side("new")) == (1000, 1000)


@pytest.mark.parametrize("stage", ["dataxfer", "cutover"])
def test_killed_in_a_stage_the_way_back_keeps_every_write(migration, stop_after, stage):
    stop_after(stage)
    if stage == "cutover":
        with connect(migration.side("new"), user="shop_app", password=APP_PASSWORD) as conn:
            conn.execute("INSERT INTO orders (customer, paid) VALUES (7, 7)")
    back = migration.run("--limit", "shop", playbook="playbooks/rollback.yml")
    assert back.returncode == 0, back.output
    assert orders(migration.side("old"))[0] == (1001 if stage == "cutover" else 1000)


def test_the_way_back_killed_half_way_is_finished_by_the_next(migration, eventually):
    assert migration.run("--limit", "shop").returncode == 0
    with connect(migration.side("new"), user="shop_app", password=APP_PASSWORD) as conn:
        conn.execute("INSERT INTO orders (customer, paid) VALUES (7, 7)")
    for task in ("carry_back | Copy what the target holds", "Let the source serve again"):
        run = migration.start("--limit", "shop", playbook="playbooks/rollback.yml")
        output = migration.folder / "output"
        eventually(lambda: task in output.read_text() or run.poll() is not None, timeout=90)  # noqa: B023
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        eventually(lambda: not processes_with(migration.folder), timeout=20)
    back = migration.run("--limit", "shop", playbook="playbooks/rollback.yml")
    assert back.returncode == 0, back.output
    assert orders(migration.side("old")) == (1001, 1001)
