import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.journal.fingerprint import (
    Requirement,
    fingerprint,
    input_hashes,
    sha256,
    without_secrets,
)

WINDOW = Requirement("window", "old_postgres", "d1")
AUDIT = Requirement("preflight", "shop", "d2")


def test_equal_inputs_have_one_fingerprint_whatever_their_order():
    one = fingerprint(input_hashes({"a": 1, "b": {"x": 1, "y": 2}}), [WINDOW, AUDIT])
    assert one == fingerprint(input_hashes({"b": {"y": 2, "x": 1}, "a": 1}), [AUDIT, WINDOW])


@pytest.mark.parametrize(
    "inputs, requires",
    [({"a": 2}, [WINDOW]), ({"a": 1}, [WINDOW._replace(digest="d3")]), ({"a": 1}, [])],
    ids=["another_value", "another_digest_below", "nothing_below"],
)
def test_another_fact_is_another_fingerprint(inputs, requires):
    before = fingerprint(input_hashes({"a": 1}), [WINDOW])
    assert fingerprint(input_hashes(inputs), requires) != before


def test_no_secret_is_hashed_at_any_depth():
    target = {"host": "h", "password": "x", "nested": [{"api_key": "y", "PGPASSWORD": "z"}]}
    assert without_secrets({"target": target}) == {"target": {"host": "h", "nested": [{}]}}
    assert input_hashes({"target": target, "admin_password": "x"}) == {
        "target": sha256({"host": "h", "nested": [{}]})
    }


@pytest.mark.parametrize("name", ["credentials", "secrets_count", "tokens", "access"])
def test_a_name_that_is_about_secrets_is_no_secret(name):
    assert without_secrets({name: 3}) == {name: 3}
