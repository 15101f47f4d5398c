"""Which answers count. No server: answers are plain values."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.fence.assertions import (
    Question,
    judge,
)


@pytest.mark.parametrize(
    "expected, answer, error, passed",
    [
        pytest.param("42", "42", None, True, id="as-expected"),
        pytest.param("42", "41", None, False, id="another"),
        pytest.param("42", None, None, False, id="no-row"),
        pytest.param(None, "0", None, True, id="any-row-will-do"),
        pytest.param(None, "false", None, False, id="a-no-is-a-no"),
        pytest.param(None, None, None, False, id="nothing-is-a-no"),
        pytest.param(None, None, "relation does not exist", False, id="a-query-that-fails"),
    ],
)
def test_an_answer_counts_only_as_expected(expected, answer, error, passed):
    assert judge(Question("q", "SELECT", expected), answer, error).passed is passed
