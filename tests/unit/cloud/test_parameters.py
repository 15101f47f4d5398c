"""When two spellings of a parameter's value are one."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.cloud.parameters import (
    same,
    text,
)


@pytest.mark.parametrize(
    "one, other",
    [
        pytest.param("2GB", "2048MB", id="memory"),
        pytest.param("2GB", "2097152kB", id="memory-in-kB"),
        pytest.param("0.5GB", "512 MB", id="fractions-and-spaces"),
        pytest.param("5min", "300s", id="time"),
        pytest.param("1d", "24h", id="days"),
        pytest.param("on", "TRUE", id="booleans"),
        pytest.param("0.10", "0.1", id="numbers"),
        pytest.param("a, b", "a,b", id="lists"),
        pytest.param("logical", "logical", id="words"),
    ],
)
def test_spellings_of_one_value_are_the_same(one, other):
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    "one, other",
    [
        pytest.param("2GB", "2MB", id="memory"),
        pytest.param("1", "1MB", id="a-number-without-its-unit"),
        pytest.param("1", "on", id="a-number-that-may-be-a-boolean"),
        pytest.param("replica", "logical", id="words"),
        pytest.param("a, b", "b, a", id="order-of-a-list"),
        pytest.param("1m", "1MB", id="unknown-units"),
    ],
)
def test_other_values_differ(one, other):
    assert not same(one, other)


def test_values_of_yaml_are_written_as_postgres_does():
    assert [text(value) for value in (True, False, 200, 0.5, "2GB")] == [
        "on", "off", "200", "0.5", "2GB",
    ]  # fmt: skip
