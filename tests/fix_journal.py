"""Playbooks that use the journal, run as processes of their own against a real server.

def test_it(playbook):
    done = playbook(run(), opened("window"), reached("window"))
    assert done.results[1]["reached"] is False
"""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

ROOT = Path(__file__).parents[1]
ACTIONS = ("run", "checkpoint", "gate")
DEADLINE_S = 120


def run(**options):
    return {"landbridge.migration.run": options, "run_once": True}


def opened(stage, **options):
    return {"landbridge.migration.checkpoint": {"stage": stage, "state": "open", **options}}


def reached(stage, **options):
    return {"landbridge.migration.checkpoint": {"stage": stage, "state": "set", **options}}


def cleared(stage, **options):
    return {"landbridge.migration.checkpoint": {"stage": stage, "state": "clear", **options}}


def gate(stages, **options):
    return {"landbridge.migration.gate": {"stages": stages, **options}}


def held(name):
    """Return a task that says it is there by the file NAME and goes on when NAME.go is there."""
    script = 'touch "$0"; while ! [ -e "$0.go" ]; do sleep 0.05; done'
    return {"ansible.builtin.command": {"argv": ["sh", "-c", script, name]}, "changed_when": False}


class Playbook:
    """Runs tasks as one play of ansible-playbook."""

    def __init__(self, folder, server):
        self.folder = folder
        self.server = server
        self.migration = f"m-{uuid.uuid4().hex[:8]}"
        self.home = folder / "home"
        self.started = []

    def write(self, *tasks, hosts=("shop",)):
        """Write the playbook, inventory and places; return their paths."""
        number = len(list(self.folder.glob("play-*.json")))
        common = {
            "migration": self.migration,
            "home": str(self.home),
            "journal": "{{ journal_server }}",
        }
        play = {
            "hosts": "all",
            "gather_facts": False,
            "module_defaults": {f"landbridge.migration.{name}": common for name in ACTIONS},
            "tasks": list(tasks),
        }
        inventory = {
            "all": {
                "hosts": {host: {} for host in hosts},
                "vars": {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": sys.executable,
                    "journal_server": self.server,
                },
            }
        }
        paths = SimpleNamespace(
            play=self.folder / f"play-{number}.json",
            inventory=self.folder / f"hosts-{number}.json",
            results=self.folder / f"results-{number}.jsonl",
            output=self.folder / f"output-{number}.txt",
        )
        paths.play.write_text(json.dumps([play]))
        paths.inventory.write_text(json.dumps(inventory))
        paths.results.touch()
        return paths

    def environment(self, paths):
        return {
            **{name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ},
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "tests/fixtures/callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "results",
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_NOCOLOR": "1",
            "LANDBRIDGE_TEST_RESULTS": str(paths.results),
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }

    def argv(self, paths, *arguments):
        ansible = [sys.executable, "-m", "ansible", "playbook"]
        return [*ansible, "-i", str(paths.inventory), str(paths.play), *arguments]

    def start(self, *tasks, hosts=("shop",), arguments=()):
        """Start the playbook and return the process with its paths as attribute."""
        paths = self.write(*tasks, hosts=hosts)
        with paths.output.open("w") as output:
            process = subprocess.Popen(
                self.argv(paths, *arguments),
                cwd=self.folder,
                env=self.environment(paths),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process.paths = paths
        self.started.append(process)
        return process

    def finish(self, process):
        """Wait for a started playbook; return its code, output and results."""
        process.wait(DEADLINE_S)
        return outcome(process.returncode, process.paths)

    def __call__(self, *tasks, **how):
        return self.finish(self.start(*tasks, **how))

    def end(self):
        for path in self.folder.glob("play-*.json"):
            (self.folder / f"{path.stem}.go").touch()
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait()


def outcome(rc, paths):
    results = [json.loads(line) for line in paths.results.read_text().splitlines()]
    failed = [row for row in results if row["status"] == "failed"]
    return SimpleNamespace(
        rc=rc,
        output=paths.output.read_text() if paths.output.exists() else "",
        results=results,
        failure=failed[0]["msg"] if failed else "",
    )


@pytest.fixture
def playbook(tmp_path, target):
    """Run tasks in a playbook whose journal is the database `target`."""
    made = Playbook(tmp_path, target)
    yield made
    made.end()


@pytest.fixture
def journal(target):
    """Return a function that asks the journal from outside."""

    def ask(statement, *values):
        with psycopg.connect(**target, autocommit=True) as conn:
            cursor = conn.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    return ask
