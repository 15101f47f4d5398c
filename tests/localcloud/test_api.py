"""What the API takes and what it refuses, with one sentence."""

import json
import socket
import stat

import pytest

pytestmark = pytest.mark.postgres

PATH = "/v1/clouds/new/postgres/wanted"
GOOD = {"admin_user": "boss", "admin_password": "s3cret"}


@pytest.mark.parametrize(
    "body, words",
    [
        pytest.param([], "the body is no JSON object", id="a list"),
        pytest.param(b"{", "the body is no JSON", id="no JSON"),
        pytest.param({"admin_password": "x"}, "admin_user is missing", id="no admin"),
        pytest.param({"admin_user": "boss"}, "admin_password is missing", id="no password"),
        pytest.param({**GOOD, "versoin": 17}, "versoin is not known here", id="misspelt"),
        pytest.param({**GOOD, "version": 9}, "version must be one of 10, 11", id="old version"),
        pytest.param({**GOOD, "version": "17"}, "version must be one of", id="version as text"),
        pytest.param({**GOOD, "admin_user": "pg_boss"}, "cannot be 'pg_boss'", id="reserved role"),
        pytest.param({**GOOD, "admin_user": "localcloud"}, "reserved", id="superuser"),
        pytest.param({**GOOD, "firewall": ["10.0.0.1/8"]}, "no address range", id="host bits"),
        pytest.param({**GOOD, "firewall": "127.0.0.1/32"}, "must be a list", id="no list"),
        pytest.param({**GOOD, "backup": {"retention_days": 0}}, "from 1 to 35", id="retention"),
        pytest.param({**GOOD, "high_availability": "yes"}, "true or false", id="availability"),
        pytest.param({**GOOD, "storage_mb": True}, "whole number", id="storage"),
        pytest.param({**GOOD, "parameters": {"fsync": "off"}}, "set by the provider", id="fsync"),
        pytest.param({**GOOD, "parameters": {"wal_level": "all"}}, "logical", id="bad value"),
        pytest.param({**GOOD, "parameters": {"wal_levle": "x"}}, "unrecognized", id="bad name"),
        pytest.param({**GOOD, "parameters": {"a b": "x"}}, "no parameter's name", id="odd name"),
        pytest.param(
            {**GOOD, "restore_from": {"server": "none", "backup": "none"}},
            "restore_from: cloud new has no server none",
            id="no such backup",
        ),
    ],
)
def test_a_wrong_request_is_refused_with_a_sentence_and_makes_nothing(api, body, words):
    status, answer = api("PUT", PATH, body)
    assert (status, answer["error"]["code"]) == (400, "invalid")
    assert words in answer["error"]["message"]
    assert api("GET", PATH)[0] == 404


@pytest.mark.parametrize(
    "method, path, status, code",
    [
        pytest.param("GET", PATH, 404, "not_found", id="absent server"),
        pytest.param("GET", "/v1/clouds/azure/postgres/x", 404, "not_found", id="absent cloud"),
        pytest.param("GET", "/v2", 404, "not_found", id="absent path"),
        pytest.param("POST", PATH, 405, "method", id="wrong method"),
        pytest.param("PUT", "/v1/clouds/new/postgres/..%2fx", 400, "invalid", id="path as name"),
    ],
)
def test_what_is_not_there_is_told_apart(api, method, path, status, code):
    found, answer = api(method, path, GOOD if method == "PUT" else None)
    assert (found, answer["error"]["code"]) == (status, code)


@pytest.mark.parametrize("token", ["", "wrong", "ü"])
def test_without_the_token_nothing_is_answered(api, token):
    assert api("GET", "/v1/clouds", token=token.encode())[0] == 401


def test_a_body_that_is_too_long_is_refused_unread(api):
    status, answer = api("PUT", PATH, headers={"Content-Length": str(1 << 30)})
    assert (status, answer["error"]["code"]) == (413, "invalid")


def test_the_token_is_its_owners_and_the_api_listens_on_one_loopback_address(cloud):
    assert stat.S_IMODE(cloud.home.api.stat().st_mode) == 0o600
    port = int(json.loads(cloud.home.api.read_text())["url"].rpartition(":")[2])
    socket.create_connection(("127.0.0.1", port), 5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), 5)
