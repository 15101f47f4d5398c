"""What a slot's messages say. No server: these were read from one of version 15."""

from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.pgoutput import (
    transactions,
)

BEGIN = b"B\x00\x00\x00\x00\x01\x91\x84\xa0\x00\x03\x04\x1e\x16D\x8eP\x00\x00\x02\xe2"
RELATION = (
    b"R\x00\x00@\x02public\x00t\x00d\x00\x03\x01id\x00\x00\x00\x00\x17\xff\xff\xff\xff"
    b"\x00v\x00\x00\x00\x00\x19\xff\xff\xff\xff\x00j\x00\x00\x00\x00r\xff\xff\xff\xff"
)
INSERT = b"I\x00\x00@\x02N\x00\x03t\x00\x00\x00\x015t\x00\x00\x00\x08conflictn"
COMMIT = (
    b"C\x00\x00\x00\x00\x00\x01\x91\x84\xa0\x00\x00\x00\x00\x01\x91\x84\xd0"
    b"\x00\x03\x04\x1e\x16D\x8eP"
)


def only(*messages):
    [transaction] = transactions([BEGIN, RELATION, *messages, COMMIT])
    return transaction


def test_an_insert_has_its_key_and_its_row():
    transaction = only(INSERT)
    [change] = transaction.changes
    assert transaction.final_lsn == "0/19184A0"
    assert (change.kind, str(change.relation)) == ("INSERT", "public.t")
    assert change.key == {"id": "5"}
    assert change.row == {"id": "5", "v": "conflict", "j": None}


def test_an_update_that_moves_the_key_has_the_old_one():
    old, new = b"K\x00\x03t\x00\x00\x00\x015nn", b"N\x00\x03t\x00\x00\x00\x016un"
    [change] = only(b"U\x00\x00@\x02" + old + new).changes
    assert (change.kind, change.key) == ("UPDATE", {"id": "5"})
    assert change.row == {"id": "6", "j": None}  # v is large and did not change: it is not sent


def test_an_update_of_the_rest_has_the_key_in_its_row():
    [change] = only(b"U\x00\x00@\x02N\x00\x03t\x00\x00\x00\x015nn").changes
    assert (change.key, change.row) == ({"id": "5"}, {"id": "5", "v": None, "j": None})


def test_a_delete_has_a_key_alone():
    [change] = only(b"D\x00\x00@\x02K\x00\x03t\x00\x00\x00\x015nn").changes
    assert (change.kind, change.key, change.row) == ("DELETE", {"id": "5"}, {})


def test_truncates_and_messages_are_passed_over():
    truncate = b"T\x00\x00\x00\x01\x00\x00\x00@\x02"
    assert len(only(truncate, INSERT).changes) == 1


def test_a_transaction_that_is_not_whole_is_none():
    assert list(transactions([BEGIN, RELATION, INSERT])) == []
