"""What changed in a catalog since it was remembered. No server."""

import json

from ansible_collections.landbridge.migration.plugins.module_utils.pg.catalog.catalog import (
    Catalog,
    Key,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.catalog.catalog_diff import (
    Difference,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import fingerprint

TABLE = Key("table", ("public", "t"))
COLUMN = Key("column", ("public", "t", "c"))
OTHER = Key("column", ("public", "t", "d"))
FUNCTION = Key("function", ("public", "f", "integer"))


def taken(objects, **touched):
    return fingerprint.of(Catalog(170000, objects, {}), touched)


def changes(before, now):
    return fingerprint.changed(taken(before), taken(now))


def test_the_same_catalog_has_not_changed():
    objects = {TABLE: {"owner": "a"}, COLUMN: {"type": "text"}}
    assert changes(objects, dict(objects)) == {}


def test_objects_are_added_dropped_and_changed():
    before = {TABLE: {"owner": "a"}, COLUMN: {"type": "text"}, FUNCTION: {"body": "sha256:1"}}
    now = {TABLE: {"owner": "a"}, COLUMN: {"type": "int"}, OTHER: {"type": "text"}}
    assert changes(before, now) == {COLUMN: "changed", OTHER: "added", FUNCTION: "dropped"}


def test_what_following_makes_itself_is_no_change():
    now = {TABLE: {"owner": "a", "replica identity": "f"}, Key("publication", ("p",)): {}}
    assert changes({TABLE: {"owner": "a"}}, now) == {}


def test_a_change_that_the_other_side_has_too_is_none_any_more():
    found = {COLUMN: "changed", OTHER: "added"}
    left = Difference("column", "public.t.d", "missing", "", "")
    noted = Difference("column", "public.t.c", "statistics", "", "", note=True)
    assert fingerprint.remaining(found, [left, noted]) == {OTHER: "added"}


def test_what_goes_with_a_named_object_is_not_named():
    found = {TABLE: "added", COLUMN: "added", OTHER: "added", FUNCTION: "changed"}
    assert fingerprint.words(found) == [
        "function public.f(integer) changed",
        "table public.t added",
    ]


def test_a_changed_column_is_named_without_its_table():
    assert fingerprint.words({COLUMN: "changed"}) == ["column public.t.c changed"]


def test_writes_to_what_is_not_followed_show_in_its_counter():
    before = taken({}, **{"public.fast": 5, "public.still": 1, "pg_catalog.pg_largeobject": 0})
    now = taken({}, **{"public.fast": 6, "public.still": 1, "pg_catalog.pg_largeobject": 0})
    assert fingerprint.touched_since(before, now) == ["public.fast"]


def test_statistics_that_were_reset_count_as_a_change():
    assert fingerprint.touched_since(taken({}, fast=5), taken({}, fast=0)) == ["fast"]


def test_a_new_unlogged_table_is_a_change_when_it_was_written_to():
    assert fingerprint.touched_since(taken({}), taken({}, fast=1, empty=0)) == ["fast"]


def test_a_fingerprint_survives_its_keeping():
    odd = Key("table", ("public", 'a "b"\n'))
    known = taken({odd: {"owner": "a"}, FUNCTION: {}}, fast=5)
    assert fingerprint.from_json(json.loads(known.to_json())) == known
