"""Progress as a user sees it: ansible-playbook runs a module that writes events and waits."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

ROOT = Path(__file__).parents[2]
COLLECTIONS = f"{ROOT / 'collections'}:{ROOT / 'tests/fixtures/collections'}"
COPY = {
    "event": "progress",
    "database": "shop",
    "phase": "copy",
    "rows": 1234567,
    "bytes": 210_000_000,
    "bytes_total": 640_000_000,
    "bytes_per_s": 118e6,
    "parts_done": 20,
    "parts_total": 32,
    "eta_s": 4.0,
}
LINE = "shop: copy 1,234,567 rows, 210 of 640 MB, 118 MB/s, 12 parts left, about 4 s to go"
DEADLINE_S = 30


@pytest.fixture
def started(tmp_path):
    """Start ansible-playbook on these tasks; it is ended with the test."""
    processes = []

    def start(tasks, *arguments):
        play = {"hosts": "all", "gather_facts": False, "tasks": tasks}
        (tmp_path / "play.yml").write_text(json.dumps([play]))
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = {"all": {"hosts": {"shop": host}}}
        (tmp_path / "hosts.json").write_text(json.dumps(inventory))
        (tmp_path / "local_tmp").mkdir(exist_ok=True)
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "ansible",
                "playbook",
                "-i",
                "hosts.json",
                "play.yml",
                *arguments,
            ],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
                "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local_tmp"),
                "PYTHONUNBUFFERED": "1",
            },
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def playbook(started):
    """Start a task of the test module with these options and keywords."""

    def start(*arguments, keywords=None, **options):
        steps = {"landbridge_test.progress.steps": {"events": [COPY], **options}}
        return started([{**steps, **(keywords or {})}], *arguments)

    return start


def lines_until(process, text):
    """Return the lines up to the one that has this text in it, while the process runs."""
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if text in line:
            return lines
    raise AssertionError(f"{text!r} was not shown in: {lines}")


def ended(pid):
    return (
        not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    )


def running(eventually, tmp_path):
    """Return the module's process id as soon as it works."""
    path = tmp_path / "pid"
    return int(eventually(lambda: path.exists() and path.read_text(), timeout=DEADLINE_S))


def test_progress_is_shown_while_the_module_works(playbook, tmp_path):
    done = {**COPY, "event": "done", "bytes": 640_000_000}
    process = playbook(until=str(tmp_path / "go"), last=[done])
    assert lines_until(process, LINE)[-1] == LINE
    (tmp_path / "go").touch()
    rest = process.communicate(timeout=DEADLINE_S)[0]
    assert rest.splitlines()[0] == "shop: done 1,234,567 rows, 640 MB, 118 MB/s"
    assert process.returncode == 0


def test_the_progress_file_is_private_and_goes_with_the_task(playbook, tmp_path):
    process = playbook("-v")
    output = process.communicate(timeout=DEADLINE_S)[0]
    assert '"folder_mode": "0o700"' in output
    path = Path(output.split('"path": "')[1].split('"')[0])
    assert path.name == "progress.jsonl"
    assert not path.parent.exists()
    assert [*(tmp_path / "local_tmp").iterdir()] == []


def test_a_path_of_the_callers_own_is_followed_and_kept(playbook, tmp_path):
    path = tmp_path / "mine.jsonl"
    process = playbook(progress_path=str(path), until=str(tmp_path / "go"))
    lines_until(process, LINE)
    (tmp_path / "go").touch()
    process.communicate(timeout=DEADLINE_S)
    assert json.loads(path.read_text()) == COPY


@pytest.mark.parametrize(
    "arguments, keywords",
    [((), {"no_log": True}), ((), {"async": 30, "poll": 1})],
    ids=["no-log", "async"],
)
def test_nothing_is_followed_where_nothing_may_or_can_be_shown(playbook, arguments, keywords):
    process = playbook(*arguments, keywords=keywords, last=[{**COPY, "event": "done"}])
    output = process.communicate(timeout=DEADLINE_S)[0]
    assert process.returncode == 0, output
    assert "1,234,567" not in output


def test_check_mode_reaches_the_module(playbook):
    process = playbook("--check", "-v")
    output = process.communicate(timeout=DEADLINE_S)[0]
    assert '"check": true' in output


def test_a_tasks_environment_reaches_the_module(playbook):
    process = playbook("-v", keywords={"environment": {"STEPS_ASKED": "for this"}})
    output = process.communicate(timeout=DEADLINE_S)[0]
    assert '"asked": "for this"' in output


def test_a_task_that_asks_for_another_python_gets_it(playbook, tmp_path):
    (tmp_path / "another").symlink_to(sys.executable)
    asked = {"ansible_python_interpreter": str(tmp_path / "another")}
    process = playbook("-v", keywords={"vars": asked})
    output = process.communicate(timeout=DEADLINE_S)[0]
    assert f'"python": "{tmp_path}/another"' in output


def test_a_module_that_is_killed_fails_its_task_alone(playbook, eventually, tmp_path):
    process = playbook(until=str(tmp_path / "never"), pid_file=str(tmp_path / "pid"))
    os.kill(running(eventually, tmp_path), signal.SIGKILL)
    output = process.communicate(timeout=DEADLINE_S)[0]
    assert process.returncode == 2, output
    assert "rc: -9" in output or '"rc": -9' in output


def test_a_failure_is_the_modules_own_after_its_last_line(playbook):
    process = playbook(outcome="fail", last=[{"event": "note", "message": "12 parts are there"}])
    output = process.communicate(timeout=DEADLINE_S)[0]
    assert process.returncode == 2
    assert output.index("shop: 12 parts are there") < output.index("the copy failed")
    assert "Traceback" not in output


def test_a_password_that_gets_into_an_event_is_masked(playbook):
    process = playbook(password="canary-7f3", last=[{"event": "note", "message": "as canary-7f3"}])
    output = process.communicate(timeout=DEADLINE_S)[0]
    assert "shop: as ********" in output
    assert "canary" not in output


@pytest.mark.fault
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_module_behind(playbook, eventually, tmp_path, signum):
    process = playbook(until=str(tmp_path / "never"), pid_file=str(tmp_path / "pid"))
    pid = running(eventually, tmp_path)
    process.send_signal(signum)
    eventually(lambda: ended(pid))
    assert process.wait(DEADLINE_S) != 0


@pytest.mark.fault
def test_a_tasks_timeout_ends_the_module(playbook, eventually, tmp_path):
    process = playbook(
        keywords={"timeout": 2}, until=str(tmp_path / "never"), pid_file=str(tmp_path / "pid")
    )
    pid = running(eventually, tmp_path)
    output = process.communicate(timeout=DEADLINE_S)[0]
    assert process.returncode == 2, output
    eventually(lambda: ended(pid))


@pytest.mark.postgres
def test_a_copy_and_its_comparison_say_what_they_moved(started, source, target):
    with psycopg.connect(make_conninfo(**source)) as conn:
        conn.execute("CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 70000) n")
    sides = {"source": source, "target": target}
    modules = ("landbridge.migration.pg_clone", "landbridge.migration.pg_verify")
    process = started([{module: sides} for module in modules])
    output = process.communicate(timeout=2 * DEADLINE_S)[0]
    assert process.returncode == 0, output
    said = [line for line in output.splitlines() if line.startswith("shop: done 70,000 rows")]
    assert len(said) == 2, output
    assert source["password"] not in output
