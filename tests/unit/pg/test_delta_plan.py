"""What a last look before a crossing is for. No server: tables are plain values."""

from ansible_collections.landbridge.migration.plugins.module_utils.pg.catalog.catalog import (
    Column,
    Table,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.delta_plan import (
    TABLES,
    plan,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.verdict import Moving

INT, TEXT = 23, 25


def table(name, *, key_type=INT, pages=1000, rows=100_000.0, key=("id",)):
    columns = (Column("id", key_type), Column("what", TEXT))
    return Table("public", name, "r", columns, key, pages, rows, 0, True, "")


def planned(*tables, moving=(), counts=None):
    by_name = {each.names: each for each in tables}
    items, left = plan(by_name, moving, counts or dict.fromkeys(by_name, 1))
    return [(each.table.relname, each.what) for each in items], [each.table for each in left]


def test_rows_that_moved_come_first_then_what_was_written_to_most():
    counts = {("public", "a"): 5, ("public", "b"): 50, ("public", "c"): 0}
    moving = [Moving("public.c", {"id": "1"})]
    items, _left = planned(table("a"), table("b"), table("c"), moving=moving, counts=counts)
    assert items == [("c", "moving"), ("b", "newest"), ("a", "newest")]


def test_a_small_table_is_compared_once_and_as_a_whole():
    small = table("a", pages=1, rows=10.0)
    assert planned(small, moving=[Moving("public.a", {"id": "1"})]) == ([("a", "all")], [])


def test_a_table_that_was_never_analyzed_is_not_taken_for_small():
    assert planned(table("a", pages=1, rows=-1.0)) == ([("a", "newest")], [])


def test_texts_have_no_order_that_both_sides_agree_on():
    assert planned(table("a", key_type=TEXT), table("b", key=())) == (
        [],
        ["public.a", "public.b"],
    )


def test_moving_rows_without_a_key_of_their_table_are_left():
    moving = [Moving("public.a", {}, 3), Moving("public.b", {"nr": "1"}), Moving("public.c", {})]
    _items, left = planned(table("a", key=()), table("b"), moving=moving, counts={("x", "y"): 1})
    assert left == ["public.a", "public.b", "public.c"]


def test_no_more_tables_than_there_is_time_for():
    items, _left = planned(*(table(f"t{n}") for n in range(TABLES + 5)))
    assert len(items) == TABLES
