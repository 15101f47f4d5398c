"""How rows that differ are told, and what a verdict says of them. No server."""

import json

from ansible_collections.landbridge.migration.plugins.module_utils.pg.catalog.catalog import (
    Column,
    Table,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.catalog.catalog_diff import (
    Difference,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.sequences import (
    Name,
    Position,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.checksum import Sum
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.differing import (
    Differing,
    Row,
    RowDifference,
    compare,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.verdict import (
    SequenceDifference,
    TableResult,
    Verdict,
)

COLUMNS = (Column("id", 23), Column("name", 25))


def table(*key):
    return Table("public", "t", "r", COLUMNS, key, 1, 1.0, 0, True, "")


def row(digest, *columns, copies=1):
    return Row(copies, digest, columns, "(0,1)")


def told(source, target, *key):
    return [str(each) for each in compare(table(*key), ("id", "name"), source, target)]


def test_rows_with_a_key_are_told_by_it():
    source = {("1",): row(b"a", "i", "x"), ("2",): row(b"b", "i", None), ("3",): row(b"c", "", "")}
    target = {("1",): row(b"A", "i", "y"), ("3",): row(b"c", "", ""), ("4",): row(b"d", "", "")}
    assert told(source, target, "id") == [
        "id 1 (changed in name)",
        "id 2 (missing)",
        "id 4 (extra)",
    ]


def test_a_null_is_not_an_empty_text():
    source, target = {("1",): row(b"a", "i", None)}, {("1",): row(b"b", "i", "e3b0")}
    assert told(source, target, "id") == ["id 1 (changed in name)"]


def test_rows_without_a_key_are_told_by_where_they_lie():
    source = {("aa",): row(b"a", copies=2), ("bb",): row(b"b")}
    target = {("aa",): row(b"a", copies=3)}
    assert told(source, target) == [
        "ctid (0,1) on the target, copies 2 on the source, 3 on the target (extra)",
        "ctid (0,1) on the source (missing)",
    ]


def test_a_key_that_occurs_twice_on_one_side_is_a_difference():
    source, target = {("1",): row(b"a", "i", "x")}, {("1",): row(b"a", "i", "x", copies=2)}
    assert len(told(source, target, "id")) == 1


def verdict(**changes):
    values = {
        "tables": [TableResult("public.t", Sum(5, 1, 1), Sum(5, 1, 1), 8192)],
        "large_objects": None,
        "catalog_counts": {"table": 1},
        "catalog": [],
        "sequences_compared": 1,
        "sequences": [],
        "chunks": 2,
        "algorithm": "sha256",
        "versions": (150000, 170000),
        "elapsed_s": 2.0,
        **changes,
    }
    return Verdict(**values)


def test_equal_databases_give_evidence():
    evidence = verdict().evidence()
    assert evidence["equal"]
    assert (evidence["tables_compared"], evidence["rows"], evidence["bytes"]) == (1, 5, 8192)
    assert evidence["bytes_per_s"] == 4096


def test_the_sentence_names_the_first_of_everything_that_differs():
    rows = Differing([RowDifference({"id": "7"}, "missing", [])], complete=True)
    found = verdict(
        tables=[TableResult("public.t", Sum(5, 1, 1), Sum(4, 1, 1), 1, differing=rows)],
        catalog=[
            Difference("index", "public.i", "missing", "", ""),
            Difference("setting", "", "missing", "", "", note=True),
        ],
        sequences=[SequenceDifference(Name("public", "s"), Position(5, True), Position(1, False))],
    )
    assert found.sentence() == (
        "Source and target differ: 1 table: public.t has 5 rows on the source and 4 on the target"
        " (1 differ, first id 7 (missing)); 1 object: index public.i is missing on the target;"
        " 1 sequence: public.s is at 5, on the target at 1 (not called)."
    )


def test_evidence_stays_small_whatever_differs():
    long = RowDifference({"id": "k" * 5000}, "changed", ["name"])
    rows = Differing([long] * 500, complete=False)
    tables = [
        TableResult(f"public.t{n}", Sum(1, 1, 1), Sum(), 1, differing=rows) for n in range(150)
    ]
    evidence = verdict(tables=tables).evidence()
    assert evidence["differing_count"] == 150
    assert len(evidence["differing"]) == 100
    assert sum(len(each["rows"]) for each in evidence["differing"]) == 100
    assert len(json.dumps(evidence)) < 30000


def test_a_materialized_view_that_differs_is_a_note():
    derived = TableResult("public.m", Sum(1, 1, 1), Sum(1, 2, 2), 1, derived=True)
    found = verdict(tables=[derived])
    assert found.equal
    assert found.evidence()["catalog"]["notes_count"] == 1
