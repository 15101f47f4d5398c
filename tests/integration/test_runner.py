"""What a user of ansible-runner, and so of AWX, sees of a run."""

import json
import sys

import pytest

from tests.integration import runner

CANARY = "canary-4c1"
COPY = {
    "event": "progress",
    "phase": "copy",
    "rows": 1_234_567,
    "bytes": 210_000_000,
    "bytes_total": 640_000_000,
    "bytes_per_s": 118e6,
    "parts_done": 20,
    "parts_total": 32,
    "eta_s": 4.0,
}
DONE = {**COPY, "event": "done", "bytes": 640_000_000}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """One run for all tests: two databases copied, with a password from a look-up."""
    folder = tmp_path_factory.mktemp("runner")
    secret, home = folder / "secret", folder / "home"
    secret.write_text(CANARY)
    common = {"migration": "acme", "home": str(home)}
    mark = "landbridge.migration.checkpoint"
    evidence = {"rows": 1_234_567, "bytes": 640_000_000, "elapsed_s": 5.4}
    steps = {"events": [COPY], "last": [DONE], "password": "{{ postgres_password }}"}
    tasks = [
        {"landbridge.migration.run": {"state": "open", **common}, "run_once": True},
        {mark: {"state": "open", "stage": "dataxfer", **common}},
        {"landbridge_test.progress.steps": steps},
        {mark: {"state": "set", "stage": "dataxfer", "evidence": evidence, **common}},
    ]
    project = folder / "project"
    project.mkdir()
    plays = [{"hosts": "all", "gather_facts": False, "tags": ["dataxfer"], "tasks": tasks}]
    (project / "migrate.yml").write_text(json.dumps(plays))
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "postgres_password": f"{{{{ lookup('ansible.builtin.file', '{secret}') }}}}",
    }
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"all": {"hosts": {"shop": host, "media": host}}}))
    callbacks = {"ANSIBLE_CALLBACKS_ENABLED": "landbridge.migration.report"}
    return runner.play(folder / "private", project, "migrate.yml", inventory=inventory, **callbacks)


def test_the_run_succeeds(played):
    assert (played.status, played.rc) == ("successful", 0), played.lines
    assert len(played.results("landbridge_test.progress.steps")) == 2


@pytest.mark.parametrize("database", ["shop", "media"])
def test_progress_is_in_the_events(played, database):
    assert f"{database}: done 1,234,567 rows, 640 MB, 118 MB/s" in played.lines


def test_the_closing_table_and_the_reports_place_are_in_the_events(played):
    line = next(line for line in played.lines if line.startswith("shop "))
    assert "1,234,567" in line
    assert any(line.startswith("report: ") for line in played.lines)


def test_no_event_is_so_large_that_runner_drops_it(played):
    assert played.largest_event() < runner.LARGEST_EVENT
    assert all(played.results("landbridge.migration.checkpoint"))


def test_no_artifact_holds_the_secret(played):
    assert "stdout" in played.holding("shop: done 1,234,567 rows")
    assert played.holding(CANARY) == []
