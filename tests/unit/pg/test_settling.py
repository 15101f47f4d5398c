"""What four looks at a row prove. No server: a look is a value."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.catalog.catalog_diff import (
    Difference,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.checksum import Sum
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.live import as_followed
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.settling import (
    NONE,
    Looks,
    Seen,
    decide,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.verdict import (
    Moving,
    TableResult,
    Traffic,
    Verdict,
)


def seen(content, version, copies=1):
    """Return a row that holds ``content``; each write makes another version."""
    return Seen(copies, content.encode(), version.encode())


def decided(target_before, source, target, source_after):
    return decide(Looks(target_before, source, target, source_after))


A1, A2, B1, B2 = (seen(*name) for name in ("a1", "a2", "b1", "b2"))
TARGET_A, TARGET_B, TARGET_A2 = seen("a", "x"), seen("b", "y"), seen("a", "z")


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param((NONE, A1, TARGET_A, A1), id="arrived meanwhile"),
        pytest.param((TARGET_B, A1, TARGET_A, A1), id="changed meanwhile"),
        pytest.param((TARGET_A, NONE, NONE, NONE), id="gone meanwhile"),
        pytest.param((TARGET_A, A1, TARGET_B, B2), id="the source's later look"),
        pytest.param((TARGET_A, A1, TARGET_A, B2), id="the source's earlier look"),
        pytest.param((NONE, NONE, NONE, NONE), id="nowhere"),
    ],
)
def test_a_row_that_is_alike_on_both_sides_is_equal(looks):
    assert decided(*looks) == "equal"


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param((TARGET_B, A1, TARGET_B, A1), id="changed"),
        pytest.param((NONE, A1, NONE, A1), id="missing"),
        pytest.param((TARGET_A, NONE, TARGET_A, NONE), id="extra"),
        pytest.param((TARGET_A, A1, TARGET_B, A1), id="changed, and the target written to"),
        pytest.param((TARGET_B, A1, TARGET_B, A2), id="changed, and the source written to"),
    ],
)
def test_a_row_that_was_there_all_the_time_and_is_not_alike_differs(looks):
    assert decided(*looks) == "differs"


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param((TARGET_A, A1, TARGET_B, A2), id="a flag that goes on and off"),
        pytest.param((TARGET_A, NONE, TARGET_A2, NONE), id="a row that comes and goes"),
        pytest.param((NONE, A1, NONE, A2), id="a row that goes and comes"),
        pytest.param((NONE, NONE, TARGET_A, NONE), id="a row that came once"),
        pytest.param((NONE, A1, TARGET_B, NONE), id="deleted after a change"),
    ],
)
def test_of_a_row_that_was_written_to_nothing_is_said(looks):
    assert decided(*looks) == "moving"


def copies(number, version):
    return seen("line", version, copies=number)


@pytest.mark.parametrize(
    "looks, verdict",
    [
        pytest.param((3, "t"), "equal", id="as many"),
        pytest.param((4, "t"), "differs", id="one more at rest"),
        pytest.param((2, "t"), "differs", id="one less at rest"),
    ],
)
def test_rows_without_a_key_are_counted(looks, verdict):
    target = copies(*looks)
    assert decided(target, copies(3, "s"), target, copies(3, "s")) == verdict


def test_one_more_copy_on_a_target_that_was_written_to_may_have_been_on_the_source():
    found = decided(copies(3, "t"), copies(3, "s"), copies(4, "u"), copies(3, "s"))
    assert found == "moving"


def test_one_less_copy_may_be_a_delete_while_the_source_is_written_to():
    found = decided(copies(2, "t"), copies(3, "s"), copies(2, "t"), copies(3, "r"))
    assert found == "moving"


def test_what_following_changes_on_the_source_is_a_note():
    identity = Difference("table", "public.t", "replica identity", "f", "not set")
    objects = Difference("large objects", "clerk", "count", "2", "1")
    other = Difference("table", "public.t", "persistence", "u", "not set")
    comment = Difference("comment", '"large object"."70000011"', "missing", "", "")
    found = as_followed([identity, objects, comment, other])
    assert [each.note for each in found] == [True, True, True, False]


def verdict(tables, **traffic):
    return Verdict(
        tables, None, {}, [], 0, [], 1, "sha256", (170000, 170000), 1.0, Traffic(**traffic)
    )


def test_a_table_with_too_many_rows_in_flight_is_not_equal_but_no_difference_is_claimed():
    table = TableResult("public.t", Sum(5, 1, 1), Sum(6, 1, 1), 8192)
    found = verdict([table], unsettled=["public.t"])
    assert not found.equal
    assert found.differing == []
    assert found.sentence() == "Too many rows are in flight to compare 1 table: public.t."


def test_rows_that_move_are_told_and_are_no_difference():
    table = TableResult("public.t", Sum(5, 1, 1), Sum(5, 2, 2), 8192, settled=True)
    found = verdict([table], moving=[Moving("public.t", {"id": "1"}), Moving("public.l", {}, 3)])
    assert found.equal
    assert found.evidence()["live"]["moving_count"] == 4
    assert found.evidence()["live"]["moving"][0] == {
        "table": "public.t",
        "key": {"id": "1"},
        "rows": 1,
    }
