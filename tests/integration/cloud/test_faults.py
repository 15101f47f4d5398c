"""What a provider's API may do, and what a run makes of it: never an absent server, no secret."""

import json
import os
import signal

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.cloud import http
from ansible_collections.landbridge.migration.plugins.modules import (
    postgres_server,
    postgres_server_info,
)

pytestmark = [pytest.mark.postgres, pytest.mark.fault]

BUG = (500, {"error": {"code": "bug", "message": "out of order"}})
UNAVAILABLE = (503, b"<html>upstream</html>", [("Retry-After", "1")])
BUSY = (409, {"error": {"code": "operation_in_progress", "message": "it is updating; wait"}})


def asked(described):
    return {name: described[name] for name in ("provider", "name", "settings", "timeout")}


@pytest.fixture
def impatient(monkeypatch):
    """Give an API that is down one second instead of many."""
    monkeypatch.setattr(http, "PATIENCE_S", 1.0)


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([BUG, BUG], id="500"),
        pytest.param([UNAVAILABLE], id="503-with-Retry-After"),
        pytest.param(["after"], id="answer-cut-off"),
        pytest.param([None, BUG, "after"], id="creation-refused-then-cut-off-when-done"),
        pytest.param([None, None, BUSY, BUSY], id="another-operation-in-progress"),
        pytest.param([None, None, None, BUG, "after"], id="while-waiting"),
    ],
)
def test_what_passes_is_waited_out(described, faulty, run_module, faults):
    faulty.faults.extend(faults)
    result = run_module(postgres_server, **described)
    assert result["server"]["state"] == "ready"
    assert not faulty.faults
    assert run_module(postgres_server, **described)["changed"] is False


def test_a_change_meets_another_operation_and_waits_for_its_end(described, faulty, run_module):
    run_module(postgres_server, **described)
    faulty.faults.extend([None, BUSY, BUSY])
    result = run_module(postgres_server, **described, parameters={"max_wal_size": "2GB"})
    assert result["server"]["parameters"] == {"max_wal_size": "2GB"}
    assert faulty.seen.count("PATCH") == 3


def test_a_restart_is_not_asked_for_twice_when_the_answer_was_lost(described, faulty, run_module):
    run_module(postgres_server, **described)
    described["parameters"] = {"max_connections": 44}
    run_module(postgres_server, **described)  # refused: it waits for a restart
    faulty.seen.clear()
    faulty.faults.extend([None, "after"])
    failure = run_module(postgres_server, **described, restart_allowed=True)
    assert failure["error"]["retryable"]
    assert faulty.seen == ["GET", "POST"]
    assert run_module(postgres_server, **described)["server"]["parameters"] == {
        "max_connections": "44"
    }


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault, told",
    [
        pytest.param(BUG, "out of order", id="500"),
        pytest.param((404, b"<html>not here</html>"), "404", id="404-of-another-program"),
        pytest.param((200, b"<html>hello</html>"), "not answered with a JSON", id="another-page"),
        pytest.param((200, {"name": "x"}), "lacks 'state'", id="another-object"),
        pytest.param((302, b"", [("Location", "http://127.0.0.1:1/")]), "302", id="redirect"),
        pytest.param((403, {"error": {"code": "denied", "message": "no"}}), "403", id="denied"),
    ],
)
def test_no_answer_but_not_found_says_that_a_server_is_absent(
    described, faulty, run_module, fault, told
):
    faulty.faults.extend([fault] * 100)
    failure = run_module(postgres_server_info, **asked(described))
    assert failure["failed"]
    assert told in failure["msg"]
    assert failure["error"]["code"] == "api"
    assert "exists" not in failure


def test_an_unknown_cloud_is_no_absent_server(described, run_module):
    described["settings"]["cloud"] = "nwe"
    failure = run_module(postgres_server_info, **asked(described))
    assert "there is no cloud nwe" in failure["msg"]


@pytest.mark.usefixtures("impatient")
def test_a_daemon_that_is_gone_is_told_and_its_servers_are_not_absent(
    own_cloud, described, run_module
):
    described["settings"]["api"] = str(own_cloud.home.api)
    run_module(postgres_server, **described)
    os.kill(own_cloud.daemon_pid, signal.SIGKILL)
    for state in ("present", "absent"):
        failure = run_module(postgres_server, **described, state=state)
        assert "got no answer" in failure["msg"] or "is not up" in failure["msg"]
    own_cloud.run("up")
    assert run_module(postgres_server, **described)["changed"] is False


def test_a_cloud_that_is_not_up_is_told_with_the_remedy(described, run_module, tmp_path):
    described["settings"]["api"] = str(tmp_path / "none" / "api.json")
    failure = run_module(postgres_server_info, **asked(described))
    assert "the local cloud is not up" in failure["msg"]
    assert "localcloud up" in failure["error"]["hint"]


def test_a_wrong_token_is_told_and_never_shown(described, run_module, cloud, tmp_path):
    real = json.loads(cloud.home.api.read_text())
    api = tmp_path / "api.json"
    api.write_text(json.dumps(real | {"token": "canary-token"}))
    described["settings"]["api"] = str(api)
    failure = run_module(postgres_server_info, **asked(described))
    assert "401: the token is missing or wrong" in failure["msg"]
    assert "canary" not in str(failure)


def test_a_token_that_an_api_sends_back_is_masked(described, faulty, run_module):
    token = faulty.real["token"]
    faulty.faults.append((400, {"error": {"code": "x", "message": f"bad token {token}"}}))
    failure = run_module(postgres_server_info, **asked(described))
    assert "bad token ********" in failure["msg"]
    assert token not in str(failure)


def test_a_server_that_failed_is_told_with_the_providers_reason(described, faulty, run_module):
    run_module(postgres_server, **described)
    shown = run_module(postgres_server_info, **asked(described))["server"]
    failed = shown | {"state": "failed", "state_reason": "no space left", "parameters": {}}
    faulty.faults.append((200, failed))
    failure = run_module(postgres_server, **described)
    assert failure["msg"] == f"server {described['name']} failed: no space left"
    assert not failure["error"]["retryable"]


def test_time_running_out_says_for_what_and_what_was_seen_last(described, faulty, run_module):
    run_module(postgres_server, **described)
    shown = run_module(postgres_server_info, **asked(described))["server"]
    updating = shown | {"state": "updating", "parameters": {}}
    faulty.faults.extend([(200, updating)] * 100)
    failure = run_module(postgres_server, **described | {"timeout": 1})
    name = described["name"]
    expected = f"waited 1 s for server {name} to be ready; last seen: updating"
    assert failure["msg"] == expected
    assert (failure["error"]["code"], failure["error"]["retryable"]) == ("deadline", True)


def test_an_api_that_never_answers_is_told_in_time(described, faulty, run_module, monkeypatch):
    monkeypatch.setattr(http, "REQUEST_S", 0.2)
    monkeypatch.setattr(http, "PATIENCE_S", 0.5)
    faulty.faults.extend(["silence"] * 100)
    failure = run_module(postgres_server_info, **asked(described))
    assert "got no answer" in failure["msg"]
    assert "timed out" in failure["msg"]
    assert failure["error"]["retryable"]


def test_an_answer_without_end_is_cut_off(described, faulty, run_module, monkeypatch):
    monkeypatch.setattr(http, "LIMIT_BYTES", 1000)
    monkeypatch.setattr(http, "PATIENCE_S", 0.5)
    faulty.faults.extend([(200, b"[" * 5000)] * 100)
    failure = run_module(postgres_server_info, **asked(described))
    assert "answered with more than 1000 bytes" in failure["msg"]
