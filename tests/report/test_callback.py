"""The report as ansible-playbook writes it, its journal not made yet (the file in its place)."""

import signal

import jsonschema
import pytest

CANARY = "canary-9b2"


def test_a_run_ends_with_its_figures_and_where_the_report_is(project):
    code, output = project.run()
    assert code == 0, output
    closing = output[output.index("MIGRATION") :].splitlines()[1:]
    cells = [cell.strip() for cell in closing[1].split("  ") if cell.strip()]
    assert cells == ["identity", "1,234,567", "210 MB", "2.5 s", "84 MB/s", "not yet", "—"]
    assert closing[-1] == f"report: {project.home / 'report.html'}"


def test_both_files_are_the_owners_alone(project):
    project.run()
    for name in ("report.json", "report.html"):
        assert (project.home / name).stat().st_mode & 0o777 == 0o600
    assert "1,234,567" in (project.home / "report.html").read_text()


def test_the_json_is_as_its_schema_says(project, schema):
    project.run("--tags", "dataxfer")
    report = project.report()
    jsonschema.validate(report, schema)
    assert report["migration"]["name"] == "acme"
    assert report["run"]["outcome"] == "ok"
    assert report["run"]["tags"] == ["dataxfer"]
    assert [(stage["stage"], stage["state"]) for stage in report["stages"]] == [
        ("dataxfer", "reached"),
        ("verify", "pending"),
    ]
    assert [play["stage"] for play in report["plays"]] == [None, "dataxfer"]


def test_a_later_run_shows_what_the_earlier_reached(project):
    project.run()
    code, _ = project.run("--tags", "verify")
    report = project.report()
    assert code == 0
    assert report["stages"][0]["state"] == "reached"
    assert report["stages"][0]["this_run"] is False
    assert report["summary"]["rows"] == 2 * 1_234_567


def test_a_failure_is_in_the_report_and_the_exit_code_is_ansibles(project, schema):
    code, output = project.run(tasks=[{"ansible.builtin.command": "false"}])
    assert code == 2
    assert "failed: shop at dataxfer: non-zero return code" in output
    report = project.report()
    jsonschema.validate(report, schema)
    assert report["run"]["outcome"] == "failed"
    assert {failure["host"] for failure in report["failures"]} == {"shop", "identity"}
    assert report["stages"][0]["state"] == "failed"


@pytest.mark.parametrize("arguments", [("--list-tasks",), ("--list-tags",), ("--syntax-check",)])
def test_a_playbook_that_is_looked_at_writes_nothing(project, arguments):
    code, output = project.run(*arguments)
    assert code == 0, output
    assert not project.home.exists()
    assert "MIGRATION" not in output


def test_a_look_at_the_journal_writes_nothing(project):
    info = {"state": "info", "migration": "acme", "home": str(project.home)}
    code, output = project.run(begin=False, tasks=[{"landbridge.migration.run": info}])
    assert code == 0, output
    assert "report:" not in output
    assert not (project.home / "report.json").exists()


def test_another_playbook_writes_nothing(project):
    code, output = project.run(begin=False, tasks=[{"ansible.builtin.debug": {"msg": "hello"}}])
    assert code == 0, output
    assert not project.home.exists()
    assert "report:" not in output


def test_check_mode_writes_nothing_and_says_so(project):
    code, output = project.run("--check")
    assert code == 0, output
    assert "report: not written in check mode" in output
    assert not (project.home / "report.json").exists()


def test_a_report_that_cannot_be_written_is_a_warning(project):
    (project.home / "report.html").mkdir(parents=True)
    code, output = project.run()
    assert code == 0, output
    assert "The report could not be written" in " ".join(output.split())


@pytest.mark.fault
def test_a_run_that_is_killed_leaves_what_it_had_reached(project, schema, eventually):
    wait = {
        "landbridge_test.progress.steps": {"events": [], "until": str(project.folder / "never")}
    }
    process = project.start(tasks=[wait])
    eventually(lambda: (project.home / "report.json").exists(), timeout=30)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    report = project.report()
    jsonschema.validate(report, schema)
    assert report["run"]["outcome"] == "running"
    assert report["checkpoints"]


def test_no_secret_gets_into_the_report(project):
    steps = {"events": [], "password": CANARY}
    hidden = {"ansible.builtin.command": f"false {CANARY}", "no_log": True, "ignore_errors": True}
    code, _ = project.run("-vvv", tasks=[{"landbridge_test.progress.steps": steps}, hidden])
    assert code == 0
    for path in project.home.iterdir():
        assert CANARY not in path.read_text(), path
