"""Which parts are of which epoch, from plain values."""

from dataclasses import replace

from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone import epochs
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.part import (
    BARRIER,
    BATCH,
    COPY,
    SQL,
    Part,
)

BATCHED = Part("batch:0", BATCH, "", 1, payload={"tables": [{"oid": 1}, {"oid": 2}]})
WHOLE = Part("copy:3", COPY, "", 1, payload={"oid": 3})
LOW = Part("copy:4:0", COPY, "", 1, payload={"oid": 4})
HIGH = Part("copy:4:90", COPY, "", 1, payload={"oid": 4})
INDEX = Part("index:30", SQL, "", 1, ("copy:3",))
FINISH = Part("finish:3", SQL, "", 1, ("copy:3", "index:30"))
BUILT = Part("built", BARRIER, "", 0, ("batch:0", "finish:3", "index:30"))
KEYS = Part("foreign_keys", SQL, "", 1, ("built",))
VALIDATE = Part("validate:rest", SQL, "", 1, ("foreign_keys",))
PARTS = [BATCHED, WHOLE, LOW, HIGH, INDEX, FINISH, BUILT, KEYS, VALIDATE]
FIRST = epochs.first(PARTS)


def numbers(parts):
    return {part.id: part.epoch for part in parts if part.epoch is not None}


def test_all_that_carries_rows_is_of_the_first_epoch():
    assert numbers(FIRST) == {"batch:0": 1, "copy:3": 1, "copy:4:0": 1, "copy:4:90": 1}


def test_what_is_not_done_is_of_the_next_and_a_table_half_done_is_begun_again():
    epoch = epochs.following(FIRST, {"batch:0", "copy:4:0", "index:30"})
    assert epoch.number == 2
    assert numbers(epoch.parts) == {"batch:0": 1, "copy:3": 2, "copy:4:0": 2, "copy:4:90": 2}
    assert [part.id for part in epoch.again] == ["copy:4:0"]
    assert epoch.oids() == {"3", "4"}


def test_an_epoch_of_nothing_is_none():
    epoch = epochs.following(FIRST, {"batch:0", "copy:3", "copy:4:0", "copy:4:90"})
    assert (epoch.own(), epoch.again) == ([], [])


def test_before_there_are_parts_the_first_epoch_is_next():
    assert epochs.following([], {}).number == 1


def test_tables_stay_with_the_epoch_that_finished_them():
    done = {"batch:0", "copy:4:0"}
    assert epochs.whole(FIRST, done) == {1: {"1", "2"}}
    second = epochs.following(FIRST, done).parts
    assert epochs.whole(second, {"batch:0", "copy:3", "copy:4:0"}) == {1: {"1", "2"}, 2: {"3"}}


def test_what_no_log_brings_is_of_an_epoch_but_no_table_of_it():
    fleeting = Part("batch:1", BATCH, "", 1, payload={"tables": [{"oid": 5, "unlogged": True}]})
    configured = Part("configured:6", COPY, "", 1, payload={"oid": 6})
    objects = Part("objects:7", COPY, "", 1, payload={"objects": [7]})
    parts = epochs.first([BATCHED, fleeting, configured, objects])
    assert len(numbers(parts)) == 4
    second = epochs.following(parts, {"batch:0"})
    assert (len(second.own()), second.oids()) == (3, set())
    assert epochs.whole(second.parts, {part.id for part in parts}) == {1: {"1", "2"}}
    assert epochs.deferred([*second.parts, VALIDATE]) == set()


def test_a_table_is_written_to_only_when_its_indexes_and_keys_are_there():
    assert epochs.awaited(PARTS, {"3"}) == {"copy:3", "index:30", "finish:3"}
    assert epochs.awaited(PARTS, {"1"}) == {"batch:0"}


def test_keys_wait_for_a_barrier_only_where_there_are_several_epochs():
    assert epochs.deferred(PARTS) == epochs.deferred(FIRST) == set()
    second = [replace(part, epoch=2) if part.id == "copy:3" else part for part in FIRST]
    assert epochs.deferred(second) == {"validate:rest"}
