"""postgres_server and postgres_server_info against a real local cloud and real servers."""

import threading

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PostgresError
from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.modules import (
    postgres_server,
    postgres_server_info,
)

pytestmark = pytest.mark.postgres

ASKED = ("provider", "name", "settings", "timeout")


@pytest.fixture
def info(run_module):
    """Return a function that reads the described server."""

    def read(described, **more):
        asked = {name: described[name] for name in ASKED}
        return run_module(postgres_server_info, **asked, **more)

    return read


def logs_in(server, password, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text(server["ca"])
    endpoint = {
        "host": server["host"], "port": server["port"], "dbname": "postgres",
        "user": server["admin_user"], "password": password,
        "sslmode": "verify-full", "sslrootcert": str(ca),
    }  # fmt: skip
    try:
        with connect("test", endpoint):
            return True
    except PostgresError:
        return False


def test_a_server_is_made_as_described_and_a_second_run_changes_nothing(
    described, run_module, tmp_path
):
    described |= {
        "parameters": {"max_wal_size": "2GB", "TimeZone": "Europe/Berlin", "max_connections": 77},
        "backup": {"retention_days": 9},
        "firewall": ["127.0.0.0/8"],
        "high_availability": True,
        "storage_mb": 4096,
    }
    first = run_module(postgres_server, **described)
    assert first["changed"]
    assert first["exists"]
    server = first["server"]
    assert server["parameters"] == {
        "max_wal_size": "2GB", "timezone": "Europe/Berlin", "max_connections": "77",
    }  # fmt: skip
    assert (server["backup"], server["firewall"]) == ({"retention_days": 9}, ["127.0.0.0/8"])
    assert (server["high_availability"], server["storage_mb"]) == (True, 4096)
    assert logs_in(server, described["admin_password"], tmp_path)
    second = run_module(postgres_server, **described)
    assert (second["changed"], second["changes"]) == (False, [])
    assert second["evidence"] == first["evidence"]


def test_check_mode_tells_the_same_changes_and_makes_no_server(described, run_module, info):
    described["parameters"] = {"max_wal_size": "2GB"}
    due = run_module(postgres_server, check_mode=True, **described)
    assert info(described)["exists"] is False
    assert run_module(postgres_server, **described)["changes"] == due["changes"]
    described |= {"parameters": {"max_wal_size": "3GB"}, "backup": {"retention_days": 3}}
    due = run_module(postgres_server, check_mode=True, **described)
    assert run_module(postgres_server, **described)["changes"] == due["changes"]
    assert due["changes"] == [
        {"name": "backup", "before": {"retention_days": 7}, "after": {"retention_days": 3}},
        {"name": "parameters.max_wal_size", "before": "2GB", "after": "3GB"},
    ]


def test_what_is_only_written_otherwise_is_no_change(described, run_module):
    described["parameters"] = {"max_wal_size": "2GB", "enable_seqscan": False}
    run_module(postgres_server, **described)
    described["parameters"] = {"MAX_WAL_SIZE": "2048MB", "enable_seqscan": "no"}
    assert run_module(postgres_server, **described)["changed"] is False


def test_a_parameter_that_needs_a_restart_waits_for_leave_and_is_named(described, run_module):
    run_module(postgres_server, **described)
    described["parameters"] = {"max_connections": 55, "max_wal_size": "4GB"}
    failure = run_module(postgres_server, **described)
    assert failure["msg"].endswith("has to restart before these take effect: max_connections")
    assert failure["error"]["code"] == "not_converged"
    again = run_module(postgres_server, check_mode=True, **described)
    assert again["msg"] == failure["msg"]
    allowed = run_module(postgres_server, **described, restart_allowed=True)
    assert (allowed["changed"], allowed["restarted"]) == (True, True)
    assert allowed["server"]["pending_restart"] is False
    assert run_module(postgres_server, **described)["changed"] is False


def test_a_password_that_the_server_does_not_take_is_set(described, run_module, tmp_path):
    run_module(postgres_server, **described)
    described["admin_password"] = "another canary"
    changed = run_module(postgres_server, **described)
    assert [change["name"] for change in changed["changes"]] == ["admin_password"]
    assert logs_in(changed["server"], "another canary", tmp_path)
    assert run_module(postgres_server, **described)["changed"] is False


@pytest.mark.parametrize(
    "other, message",
    [
        pytest.param({"version": 16}, "is Postgres 17, 16 is described", id="version"),
        pytest.param({"admin_user": "eve"}, "by new_admin, eve is described", id="administrator"),
        pytest.param({"storage_mb": 64}, "cannot shrink to 64 MB", id="storage"),
    ],
)
def test_a_difference_that_only_a_new_server_resolves_is_refused(
    described, run_module, other, message
):
    run_module(postgres_server, **described)
    failure = run_module(postgres_server, **described | other)
    assert message in failure["msg"]
    assert failure["error"]["code"] == "precondition"


def test_a_value_that_the_provider_refuses_is_told_in_its_words(described, run_module, info):
    failure = run_module(postgres_server, **described, parameters={"max_wal_size": "lots"})
    assert "max_wal_size" in failure["msg"]
    assert (failure["error"]["code"], failure["error"]["status"]) == ("api", 400)
    assert info(described)["exists"] is False


def test_a_server_is_deleted_and_stays_so(described, run_module, info):
    run_module(postgres_server, **described)
    assert run_module(postgres_server, check_mode=True, **described, state="absent")["changed"]
    assert info(described)["exists"]
    assert run_module(postgres_server, **described, state="absent")["changed"]
    assert info(described)["exists"] is False
    assert run_module(postgres_server, **described, state="absent")["changed"] is False


def test_a_server_starts_with_a_backups_contents(
    described, run_module, cloud, tmp_path, eventually
):
    run_module(postgres_server, **described)
    path = f"/v1/clouds/new/postgres/{described['name']}/backups"
    backup = cloud.client.call("POST", path)["id"]
    eventually(lambda: cloud.client.call("GET", path)["backups"][0]["state"] == "ready", 60)
    copy = described | {
        "name": described["name"] + "_copy",
        "restore_from": {"server": described["name"], "backup": backup},
    }
    made = run_module(postgres_server, **copy)
    assert logs_in(made["server"], copy["admin_password"], tmp_path)
    assert run_module(postgres_server, **copy)["changed"] is False
    run_module(postgres_server, **copy, state="absent")


def test_the_endpoint_and_its_certificate_authority_are_told(described, run_module, info, tmp_path):
    made = run_module(postgres_server, **described)["server"]
    ca = tmp_path / "new" / "ca.pem"
    found = info(described, ca_dest=str(ca), parameters=["wal_level"])
    assert (found["changed"], found["exists"]) == (False, True)
    assert found["server"]["parameters"] == {"wal_level": "logical"}
    assert (found["server"]["host"], found["server"]["port"]) == (made["host"], made["port"])
    assert ca.read_text() == made["ca"]
    assert ca.stat().st_mode & 0o777 == 0o644
    ca.write_text("another")
    info(described, ca_dest=str(ca))
    assert ca.read_text() == made["ca"]


def test_a_run_that_finds_a_server_half_made_waits_for_it(described, run_module, cloud):
    body = {"version": 17, "admin_user": "new_admin", "admin_password": described["admin_password"]}
    cloud.client.call("PUT", f"/v1/clouds/new/postgres/{described['name']}", body)
    result = run_module(postgres_server, **described)
    assert (result["changed"], result["server"]["state"]) == (False, "ready")


def test_two_runs_at_once_make_one_server(described, run_module, cloud):
    body = {"version": 17, "admin_user": "new_admin", "admin_password": described["admin_password"]}
    path = f"/v1/clouds/new/postgres/{described['name']}"
    thread = threading.Thread(target=cloud.client.call, args=("PUT", path, body))
    thread.start()
    result = run_module(postgres_server, **described)
    thread.join()
    assert result["server"]["state"] == "ready"
    assert run_module(postgres_server, **described)["changed"] is False


def test_an_unknown_provider_is_refused_with_those_there_are(described, run_module):
    failure = run_module(postgres_server, **described | {"provider": "azure"})
    assert failure["msg"] == "provider azure is not known; known are existing and local"


def test_no_secret_is_in_a_result(described, run_module, info, cloud):
    made = run_module(postgres_server, diff=True, **described)
    told = str(made) + str(info(described))
    assert "canary" not in told
    assert cloud.client._token not in told
