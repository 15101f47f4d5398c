"""Provider existing: a server that something else made is looked at and never changed."""

import pytest

from ansible_collections.landbridge.migration.plugins.modules import (
    postgres_server,
    postgres_server_info,
)

pytestmark = pytest.mark.postgres


@pytest.fixture
def described(target_server):
    admin = target_server.admin
    return {
        "provider": "existing",
        "name": "theirs",
        "admin_user": admin["user"],
        "admin_password": admin["password"],
        "settings": {name: admin[name] for name in ("host", "port", "sslmode", "sslrootcert")},
        "timeout": 60,
    }


def test_a_server_that_is_as_described_is_no_change(described, run_module):
    result = run_module(
        postgres_server, **described, version=17, parameters={"wal_level": "logical"}
    )
    assert (result["changed"], result["unverified"]) == (False, [])
    assert result["evidence"]["login"] == "verify-full"
    assert result["server"]["parameters"] == {"wal_level": "logical"}


def test_what_nobody_can_see_from_outside_is_named(described, run_module):
    result = run_module(
        postgres_server,
        **described,
        backup={"retention_days": 7},
        high_availability=True,
        parameters={"statement_timeout": "5min"},
    )
    assert result["changed"] is False
    assert result["unverified"] == ["backup", "high_availability", "parameters.statement_timeout"]


def test_a_difference_is_refused_by_name_and_check_mode_shows_it(described, run_module):
    described["parameters"] = {"max_connections": 7}
    due = run_module(postgres_server, check_mode=True, **described)
    assert due["changes"] == [{"name": "parameters.max_connections", "before": "200", "after": "7"}]
    failure = run_module(postgres_server, **described)
    assert failure["msg"].endswith("so this is never changed: max_connections")
    assert failure["error"]["code"] == "precondition"


def test_another_version_is_refused(described, run_module):
    assert "is Postgres 17, 16" in run_module(postgres_server, **described, version=16)["msg"]


def test_it_is_never_deleted(described, run_module):
    assert "never deleted" in run_module(postgres_server, **described, state="absent")["msg"]


def test_the_endpoint_is_told(described, run_module):
    found = run_module(postgres_server_info, **described)
    assert found["exists"]
    assert found["server"]["host"] == described["settings"]["host"]


@pytest.mark.parametrize(
    "broken, told",
    [
        pytest.param({"settings": {"port": 1}}, "Connection refused", id="nobody-listens"),
        pytest.param({"admin_password": "canary/wrong"}, "password authentication", id="password"),
        pytest.param({"settings": {"sslrootcert": "/dev/null"}}, "certificate", id="authority"),
        pytest.param({"settings": {"host": None}}, "needs the setting host", id="no-host"),
    ],
)
def test_a_server_that_does_not_let_us_in_is_never_absent(described, run_module, broken, told):
    settings = described["settings"] | broken.pop("settings", {})
    described |= {**broken, "settings": settings}
    failure = run_module(postgres_server_info, **described)
    assert told in failure["msg"]
    assert "exists" not in failure
    assert "canary" not in str(failure)
