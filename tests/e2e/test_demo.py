"""`make demo`, as the README shows it: nothing lost, a second run, and the way back."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .conftest import PROJECT, STAGES, Result, environment

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

DATABASES = {"shop", "identity", "flights", "media", "metrics", "legacy"}


class Demo:
    """The demo in folders of its own."""

    def __init__(self, folder):
        self.state = folder / "state"
        cloud = {"LOCALCLOUD_HOME": str(folder / "cloud")}
        self.env = {**environment(), **cloud, "LANDBRIDGE_STATE_DIR": str(self.state)}

    def __call__(self, *command, **more):
        done = subprocess.run(
            command, cwd=PROJECT, env={**self.env, **more}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Result(done.returncode, done.stdout + done.stderr)

    def localcloud(self, *args):
        return self(sys.executable, "-m", "localcloud", *args)

    def playbook(self, name, *args):
        program = Path(sys.executable).with_name("ansible-playbook")
        return self(str(program), name, "-e", f"landbridge_state_dir={self.state}", *args)

    def ledger(self):
        checked = self.localcloud("sample", "ledger", "check", "--json")
        return json.loads(checked.output[checked.output.index("{") :])


@pytest.fixture
def demo():
    folder = Path(tempfile.mkdtemp(prefix="landbridge-demo-"))
    folder.chmod(0o711)  # the servers' user passes
    made = Demo(folder)
    yield made
    made.localcloud("down", "--delete")
    shutil.rmtree(folder)


def acknowledged(ledger):
    return sum(each["acknowledged"] for each in ledger["databases"])


@pytest.mark.long
def test_six_databases_move_under_load_and_come_back_and_nothing_is_lost(demo):
    shown = demo(str(PROJECT / "scripts" / "demo"))
    assert shown.returncode == 0, shown.output
    there = demo.ledger()
    assert there["passed"], there
    assert acknowledged(there) > 100
    report = json.loads((demo.state / "local" / "report.json").read_text())
    assert {each["host"] for each in report["databases"]} == DATABASES
    assert (demo.state / "local" / "report.html").stat().st_mode & 0o077 == 0

    again = demo.playbook("migrate.yml")
    assert again.returncode == 0, again.output
    assert again.changed == 0, again.output
    assert all(f"{stage} was reached" in again.said for stage in STAGES)

    assert demo.localcloud("sample", "writers", "start").returncode == 0
    back = demo.playbook("playbooks/rollback.yml")
    assert back.returncode == 0, back.output
    assert demo.localcloud("sample", "writers", "stop").returncode == 0
    home = demo.ledger()
    assert home["passed"], home
    assert acknowledged(home) > acknowledged(there)


@pytest.mark.long
def test_six_databases_cross_under_load_and_come_back_and_no_write_fails(demo):
    shown = demo(str(PROJECT / "scripts" / "demo"), MODE="live", ROLLBACK="1")
    assert shown.returncode == 0, shown.output
    home = demo.ledger()
    assert home["passed"], home
    assert acknowledged(home) > 100
    assert [each["errors_count"] for each in home["databases"]] == [0] * 4
    report = json.loads((demo.state / "local" / "report.json").read_text())
    assert {each["host"] for each in report["databases"]} == DATABASES

    again = demo.playbook("migrate.yml")
    assert again.returncode == 0, again.output
    report = json.loads((demo.state / "local" / "report.json").read_text())
    assert all(each["crossing"]["way_back"] == "following" for each in report["databases"])
    assert all(each["verified"] for each in report["databases"])
    once_more = demo.playbook("migrate.yml")
    assert (once_more.returncode, once_more.changed) == (0, 0), once_more.output
