"""A run of ansible-playbook with the report's callback, in a folder of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.landbridge.migration.plugins.plugin_utils.report import page

ROOT = Path(__file__).parents[2]
COPIED = {
    "rows": 1_234_567,
    "bytes": 210_000_000,
    "elapsed_s": 2.5,
    "tables_count": 1,
    "tables": [{"name": "public.orders", "rows": 1_234_567, "bytes": 210_000_000, "seconds": 2.0}],
}


class Project:
    """A folder with one playbook, whose last play can be given more tasks."""

    def __init__(self, folder):
        self.folder = folder
        self.home = folder / "home"
        self.started = []

    def start(self, *arguments, tasks=(), begin=True):
        common = {"migration": "acme", "home": str(self.home)}
        run = {"landbridge.migration.run": {"state": "open", **common}, "run_once": True}
        checkpoint = {"stage": "dataxfer", **common}
        mark = "landbridge.migration.checkpoint"
        plays = [
            {"tags": ["always"], "tasks": [run] if begin else []},
            {
                "name": "dataxfer | Every row is on the target",
                "tags": ["dataxfer"],
                "tasks": [
                    {mark: {**checkpoint, "state": "open"}},
                    {mark: {**checkpoint, "state": "set", "evidence": COPIED}},
                    *tasks,
                ]
                if begin
                else [*tasks],
            },
            {"tags": ["verify"], "tasks": []},
        ]
        return self.begin(plays, ("shop", "identity"), *arguments)

    def begin(self, plays, hosts, *arguments):
        """Start ansible-playbook on these plays and hosts."""
        common = {"hosts": "all", "gather_facts": False}
        (self.folder / "migrate.yml").write_text(json.dumps([{**common, **play} for play in plays]))
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = {"all": {"hosts": dict.fromkeys(hosts, local)}}
        (self.folder / "hosts.json").write_text(json.dumps(inventory))
        command = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.json", "migrate.yml"]
        process = subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={
                **os.environ,
                "ANSIBLE_CALLBACKS_ENABLED": "landbridge.migration.report",
                "ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/collections:{ROOT}/tests/fixtures/collections",
                "ANSIBLE_LOCAL_TEMP": str(self.folder),
            },
        )
        self.started.append(process)
        return process

    def play(self, plays, *hosts):
        process = self.begin(plays, hosts)
        output = process.communicate(timeout=60)[0]
        return process.returncode, output

    def run(self, *arguments, **more):
        process = self.start(*arguments, **more)
        output = process.communicate(timeout=60)[0]
        return process.returncode, output

    def report(self):
        return json.loads((self.home / "report.json").read_text())


@pytest.fixture
def project(tmp_path):
    made = Project(tmp_path)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def schema():
    return json.loads(Path(page.__file__).with_name("report.schema.json").read_text())
