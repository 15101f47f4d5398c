"""How tables are cut into parts and batches, and what a digest is made of. No server."""

from itertools import pairwise

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.catalog.catalog import (
    Column,
    Table,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.checksum import (
    BATCH_BYTES,
    BATCH_TABLES,
    BYTEA,
    FLOAT8,
    LAST_PAGE,
    TEXT,
    Dialect,
    Part,
    Sum,
    batches,
    parts_of,
    sum_of,
)

SHA256 = Dialect.between(150000, 170000, "UTF8")


def table(name="t", pages=0, reltuples=-1.0, toast_bytes=0, condition=""):
    columns = (Column("id", 23),)
    return Table("s", name, "r", columns, ("id",), pages, reltuples, toast_bytes, True, condition)


@pytest.mark.parametrize(
    "pages, reltuples, version, ranges",
    [
        pytest.param(0, -1, 170000, [None], id="empty-and-never-analyzed"),
        pytest.param(10, 1000, 170000, [None], id="fits-one-part"),
        pytest.param(30, 3000, 130000, [None], id="no-tid-range-scan-before-14"),
        pytest.param(
            25,
            2500,
            140000,
            [range(10), range(10, 20), range(20, LAST_PAGE)],
            id="the-last-part-is-open-ended",
        ),
        pytest.param(20, -1, 170000, [range(10), range(10, LAST_PAGE)], id="density-is-guessed"),
    ],
)
def test_parts_hold_about_the_rows_asked_for(pages, reltuples, version, ranges):
    parts = parts_of(table(pages=pages, reltuples=reltuples), version, chunk_rows=1000)
    assert [part.pages for part in parts] == ranges


def test_parts_of_wide_rows_are_cut_by_bytes():
    wide = table(pages=1000, reltuples=1000, toast_bytes=2 << 30)
    parts = parts_of(wide, 170000, chunk_rows=500000)
    assert 7 <= len(parts) <= 10
    assert parts[0].pages.start == 0
    assert all(one.pages.stop == next_.pages.start for one, next_ in pairwise(parts))


def test_batches_take_the_biggest_first_and_small_ones_together():
    big = Part(table("big"), None, BATCH_BYTES * 9)
    small = [Part(table(f"t{n}"), None, 10) for n in range(BATCH_TABLES + 1)]
    found = batches([*small, big])
    assert [len(batch) for batch in found] == [1, BATCH_TABLES, 1]
    assert found[0] == [big]


def test_batches_end_before_they_grow_too_big():
    halves = [Part(table(f"t{n}"), None, BATCH_BYTES // 2) for n in range(4)]
    assert [len(batch) for batch in batches(halves)] == [2, 2]


def test_sums_add_up_in_any_order():
    parts = [Sum(1, 5, -5), Sum(2, -(2**63), 2**63 - 1), Sum(3, 7, 8)]
    assert sum(parts[1:], parts[0]) == sum(parts[-2::-1], parts[-1])


@pytest.mark.parametrize(
    "version, other, algorithm",
    [(100000, 170000, "md5"), (110000, 170000, "sha256"), (170000, 100000, "md5")],
)
def test_both_sides_speak_what_the_older_one_knows(version, other, algorithm):
    assert Dialect.between(version, other, "UTF8").algorithm == algorithm


@pytest.mark.parametrize(
    "type_oid, dialect, long, text",
    [
        pytest.param(23, SHA256, True, '"t"."x"', id="plain"),
        pytest.param(TEXT, SHA256, False, '"t"."x"', id="short-text"),
        pytest.param(
            BYTEA,
            SHA256,
            True,
            'CASE WHEN octet_length("t"."x") > 8192 THEN sha256("t"."x") ELSE "t"."x" END',
            id="long-bytea",
        ),
        pytest.param(
            FLOAT8,
            Dialect.between(110000, 170000, "UTF8"),
            False,
            'float8send("t"."x")',
            id="float-of-an-old-server",
        ),
    ],
)
def test_a_columns_value_is_written_the_same_on_both_sides(type_oid, dialect, long, text):
    assert dialect.value(Column("x", type_oid), long=long).as_string() == text


def test_names_are_quoted():
    odd = Dialect.between(170000, 170000, "UTF8").row((Column('a"; --', 23),), long=False)
    assert odd.as_string() == 'ROW("t"."a""; --")::text'


def test_texts_without_an_encoding_are_taken_byte_by_byte():
    row = SHA256.row((Column("x", 25),), long=False)
    assert "textsend(" in SHA256.digest(row).as_string()
    ascii_ = Dialect.between(170000, 170000, "SQL_ASCII")
    assert "convert_to(" in ascii_.digest(row).as_string()


def test_only_the_users_rows_of_an_extensions_table_are_read():
    text = sum_of(table(condition="WHERE NOT builtin"), SHA256.row((), long=False), None)
    assert "WHERE ( NOT builtin)" in text.as_string()
