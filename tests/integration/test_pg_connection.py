"""What a user is told when a server cannot be reached: one sentence, and what to do."""

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PostgresError
from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import (
    connect,
    translated,
)
from localcloud.certificates import Authority

pytestmark = pytest.mark.postgres


def refusal(server, **changes):
    """Return the error of connecting to ``server`` with ``changes``."""
    with pytest.raises(PostgresError) as raised, connect("source", {**server, **changes}):
        pytest.fail("the connection was made")
    error = raised.value
    assert str(error).startswith("source: ")
    assert "\n" not in str(error)
    return error


@pytest.mark.parametrize(
    "changes, hint, retryable",
    [
        pytest.param({"password": "canary"}, "Check user and password", False, id="wrong-password"),
        pytest.param({"password": None}, "none is given", False, id="no-password"),
        pytest.param({"user": "nobody"}, "Check user and password", False, id="no-such-role"),
        pytest.param({"port": 1}, "Nothing answers at 127.31.0.1, port 1", True, id="nobody-there"),
        pytest.param({"host": "no.such.host.invalid"}, "has no address", True, id="no-such-name"),
        pytest.param({"host": "localhost"}, "is not for localhost", False, id="another-name"),
        pytest.param({"sslrootcert": "/nowhere"}, "/nowhere is no file", False, id="no-ca-file"),
        pytest.param({"dbname": "nowhere"}, "connect to this database", False, id="no-database"),
    ],
)
def test_a_connection_that_fails_says_what_to_do(source, changes, hint, retryable):
    error = refusal(source, **changes)
    assert hint in error.hint
    assert error.retryable is retryable
    assert "canary" not in f"{error} {error.hint}"


def test_a_certificate_of_another_authority_says_what_to_do(source, tmp_path):
    other = Authority(tmp_path)
    error = refusal(source, sslrootcert=str(other.path))
    assert "set sslrootcert" in error.hint
    assert not error.retryable


def test_an_error_of_one_sides_session_is_not_taken_for_the_others(source, target):
    with (
        pytest.raises(PostgresError, match=r"^source: "),
        connect("source", source) as conn,
        connect("target", target),
        translated("source"),
    ):
        conn.execute("SELECT 1 / 0")


def test_a_session_that_is_cut_may_be_tried_again(source, kill_sessions):
    with pytest.raises(PostgresError) as raised, connect("source", source) as conn:  # noqa: PT012
        kill_sessions(source)
        conn.execute("SELECT 1")
    assert raised.value.retryable
    assert isinstance(raised.value.__cause__, psycopg.Error)
