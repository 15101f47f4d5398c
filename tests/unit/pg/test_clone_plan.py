"""Parts, their order and their statements, from plain values."""

from itertools import pairwise

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import LandbridgeError
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone import plan
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.part import (
    BATCH,
    COPY,
    MB,
    SQL,
    Part,
    ranks,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.relations import (
    Constraint,
    Index,
    Relations,
    Table,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.schema import classify
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.toc import Entry

SETTING = plan.Setting(jobs=2, small_sessions=2)


def table(oid, name, size=0, kind="r", **changes):
    values = {
        "oid": oid, "nspname": "public", "relname": name, "relkind": kind,
        "relispartition": False, "relhassubclass": False, "inherits": False, "reltuples": 1000.0,
        "relispopulated": True, "heap_bytes": size, "toast_bytes": 0, "columns": ["id"],
        "has_columns": True, "unlogged": False,
        "readable": True, "row_security_active": False,
    }  # fmt: skip
    return Table(**{**values, **changes})


def index(oid, relid, amname="btree", size=MB, **changes):
    values = {
        "oid": oid, "indrelid": relid, "relname": f"i{oid}", "amname": amname, "bytes": size,
        "has_expression": False, "definition": f"CREATE UNIQUE INDEX i{oid} ON public.t (id)",
    }  # fmt: skip
    return Index(**{**values, **changes})


def constraint(oid, contype, relid, index_oid=0, other=0, **changes):
    values = {
        "oid": oid, "conname": f"c{oid}", "contype": contype, "conrelid": relid,
        "conindid": index_oid, "confrelid": other, "convalidated": True, "condeferrable": False,
        "condeferred": False,
    }  # fmt: skip
    return Constraint(**{**values, **changes})


def relations(tables, indexes=(), constraints=(), belongs=None, needed=()):
    return Relations(
        {each.oid: each for each in tables},
        {each.oid: each for each in indexes},
        {each.oid: each for each in constraints},
        belongs or {},
        frozenset(needed),
        [],
        [],
    )


def entry(number, class_oid, oid, *statements, depends=(), method="heap"):
    return Entry(number, class_oid, oid, depends, "", statements, method)


def built(entries, found, setting=SETTING):
    return plan.build(classify(entries, found), found, setting)


def by_id(parts):
    return {part.id: part for part in parts}


class TestSmallTables:
    found = relations(
        [table(1, "a", 8192), table(2, "b", 8192), table(3, "s", kind="S")],
        [index(11, 1, size=8192)],
        [constraint(21, "p", 1, 11)],
        {(1259, 3): 1, (2604, 31): 1},
    )
    entries = (
        entry(1, 1247, 9, "CREATE TYPE mood"),
        entry(2, 1259, 1, "CREATE TABLE public.a (id int)"),
        entry(3, 1259, 3, "CREATE SEQUENCE public.s"),
        entry(4, 0, 0, "ALTER SEQUENCE public.s OWNED BY public.a.id", depends=(3,)),
        entry(5, 1259, 2, "CREATE TABLE public.b (id int)"),
        entry(6, 2604, 31, "ALTER TABLE ONLY public.a ALTER COLUMN id SET DEFAULT nextval('s')"),
        entry(7, 2606, 21, "ALTER TABLE ONLY public.a ADD CONSTRAINT c21 PRIMARY KEY (id)"),
    )

    def batched(self, found):
        planned = built(self.entries, found)
        tables = [t for p in planned.parts if p.kind == BATCH for t in p.payload["tables"]]
        return planned.ddl, {each["name"]: each for each in tables}

    def test_one_that_nothing_needs_is_made_in_its_batch_with_what_is_its_own(self):
        ddl, tables = self.batched(self.found)
        assert ddl == ["CREATE TYPE mood"]
        assert tables["public.a"]["create"] == [self.entries[n].statements[0] for n in (1, 2, 3, 5)]
        assert tables["public.a"]["after"] == [self.entries[6].statements[0]]

    def test_one_that_something_needs_is_made_before_and_only_filled_in_its_batch(self):
        ddl, tables = self.batched(self.found._replace(needed=frozenset({2})))
        assert ddl == ["CREATE TYPE mood", "CREATE TABLE public.b (id int)"]
        assert tables["public.b"]["create"] is None

    def test_one_whose_sequence_something_needs_is_made_before(self):
        ddl, tables = self.batched(self.found._replace(needed=frozenset({3})))
        assert len(ddl) == 5
        assert tables["public.a"]["create"] is None

    def test_one_without_a_page_is_not_read(self):
        tables = {**self.found.tables, 2: table(2, "b", 0)}
        assert self.batched(self.found._replace(tables=tables))[1]["public.b"]["copy"] is False

    @pytest.mark.parametrize(
        "count, sessions, sizes",
        [
            pytest.param(120, 1, [50, 50, 20], id="fifty at most"),
            pytest.param(8, 2, [2, 2, 2, 2], id="two for every session at least"),
            pytest.param(1, 16, [1], id="one"),
            pytest.param(0, 16, [], id="none"),
        ],
    )
    def test_they_are_shared_out_evenly(self, count, sessions, sizes):
        tables = [table(n, f"t{n}", 1) for n in range(count)]
        assert [len(group) for group in plan.groups(tables, sessions)] == sizes

    def test_a_batch_holds_no_more_than_it_may(self):
        tables = [table(n, f"t{n}", MB) for n in range(20)]
        assert [len(group) for group in plan.groups(tables, 1)] == [8, 8, 4]


class TestBigTable:
    found = relations(
        [table(1, "t", 100 * MB), table(2, "other", 50 * MB)],
        [index(11, 1), index(12, 1, "gin", 200 * MB), index(13, 2), index(14, 1, "gist")],
        [
            constraint(21, "p", 1, 11, condeferrable=True, condeferred=True),
            constraint(22, "f", 1, 13, 2),
            constraint(23, "p", 2, 13),
            constraint(24, "x", 1, 14),
        ],
    )
    entries = (
        entry(1, 1259, 1, "CREATE TABLE public.t (id int)"),
        entry(2, 1259, 2, "CREATE TABLE public.other (id int)"),
        entry(
            3, 2606, 21, "ALTER TABLE ONLY public.t ADD CONSTRAINT c21 PRIMARY KEY (id)",
            "ALTER TABLE public.t CLUSTER ON c21",
        ),
        entry(4, 2606, 23, "ALTER TABLE ONLY public.other ADD CONSTRAINT c23 PRIMARY KEY (id)"),
        entry(5, 2606, 24, "ALTER TABLE ONLY public.t ADD CONSTRAINT c24 EXCLUDE USING gist (a)"),
        entry(6, 1259, 12, "CREATE INDEX i12 ON public.t USING gin (doc)"),
        entry(7, 2606, 22,
              "ALTER TABLE ONLY public.t ADD CONSTRAINT c22 FOREIGN KEY (a) REFERENCES b"),
        entry(8, 2620, 41, "CREATE TRIGGER tg"),
    )  # fmt: skip
    parts = by_id(built(entries, found).parts)

    def test_a_key_is_an_index_first_and_a_constraint_when_all_indexes_are_built(self):
        assert self.parts["index:11"].payload["statements"] == [self.found.indexes[11].definition]
        finish = self.parts["finish:1"]
        assert finish.payload["statements"] == [
            'ALTER TABLE ONLY "public"."t" ADD CONSTRAINT "c21" PRIMARY KEY USING INDEX "i11"'
            " DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE public.t CLUSTER ON c21",
            "ALTER TABLE ONLY public.t ADD CONSTRAINT c24 EXCLUDE USING gist (a)",
        ]
        assert set(finish.needs) == {"copy:1", "index:11", "index:12"}

    def test_gin_has_little_memory_and_btree_much(self):
        assert self.parts["index:12"].payload["settings"] == {"maintenance_work_mem": "64MB"}
        assert self.parts["index:11"].payload["settings"] == {"maintenance_work_mem": "512MB"}

    def test_a_table_with_a_slow_index_goes_before_a_larger_one(self):
        found = ranks(self.parts.values())
        assert found["copy:1"] > found["index:12"] > found["copy:2"]

    def test_rows_are_frozen_into_an_emptied_table_and_counted_by_statistics(self):
        payload = self.parts["copy:1"].payload
        assert payload["before"] == ['TRUNCATE ONLY "public"."t"']
        assert payload["write"] == 'COPY "public"."t" (id) FROM STDIN WITH (FREEZE)'
        assert payload["after"] == ['ANALYZE "public"."t"']

    def test_a_foreign_key_is_checked_when_all_rows_are_in(self):
        add, check = self.parts["foreign_keys"], self.parts["validate:1"]
        assert add.payload["statements"][0].endswith("REFERENCES b NOT VALID")
        assert check.payload["statements"] == [
            'ALTER TABLE ONLY "public"."t" VALIDATE CONSTRAINT "c22"'
        ]
        assert (check.needs, add.needs) == (("foreign_keys",), ("built",))

    def test_a_key_of_a_larger_table_is_merged_with_and_not_looked_up_row_by_row(self):
        larger = table(2, "other", 50 * MB, reltuples=5000.0)
        found = self.found._replace(tables={**self.found.tables, 2: larger})
        check = by_id(built(self.entries, found).parts)["validate:1"]
        assert check.payload["statements"] == [
            "SET LOCAL enable_hashjoin = off",
            'ALTER TABLE ONLY "public"."t" VALIDATE CONSTRAINT "c22"',
            "SET LOCAL enable_hashjoin = on",
        ]

    def test_a_larger_table_that_is_not_frozen_is_left_to_the_planner(self):
        larger = table(2, "other", 50_000 * MB, reltuples=5000.0)
        found = self.found._replace(tables={**self.found.tables, 2: larger})
        check = by_id(built(self.entries, found, plan.Setting(4, 4)).parts)["validate:1"]
        assert len(check.payload["statements"]) == 1

    def test_a_small_key_is_made_with_its_constraint(self):
        found = self.found._replace(
            indexes={**self.found.indexes, 11: index(11, 1, definition=None)}
        )
        parts = by_id(built(self.entries, found).parts)
        assert "index:11" not in parts
        assert self.entries[2].statements[0] in parts["finish:1"].payload["statements"]

    def test_small_tables_are_checked_side_by_side_each_tables_keys_in_one_part(self):
        small = [table(n, f"s{n}", 8192) for n in range(100, 140)]
        keys = [constraint(n * 10 + k, "f", n, 13, 2) for n in range(100, 140) for k in (1, 2)]
        found = relations([*self.found.tables.values(), *small], (), keys)
        add = [entry(k.oid, 2606, k.oid, f"ALTER TABLE s{k.conrelid} ADD x") for k in keys]
        parts = built(add, found).parts
        checks = [p.payload["statements"] for p in parts if p.id.startswith("validate:rest:")]
        assert [len(each) for each in checks] == [26, 26, 26, 2]
        tables = [{text.split()[3] for text in each} for each in checks]
        assert sum(map(len, tables)) == len(small)

    def test_one_that_was_not_valid_stays_so(self):
        constraints = {
            **self.found.constraints,
            22: constraint(22, "f", 1, 13, 2, convalidated=False),
        }
        text = f"{self.entries[6].statements[0]} NOT VALID"
        entries = [*self.entries[:6], entry(7, 2606, 22, text)]
        parts = by_id(built(entries, self.found._replace(constraints=constraints)).parts)
        assert parts["foreign_keys"].payload["statements"] == [text]
        assert "validate:1" not in parts

    def test_triggers_come_when_keys_are_checked(self):
        assert self.parts["post"].needs == ("keyed",)
        assert "validate:1" in self.parts["keyed"].needs

    def test_a_table_with_an_index_on_an_expression_is_analyzed_at_the_end(self):
        indexes = {**self.found.indexes, 12: index(12, 1, "gin", has_expression=True)}
        parts = by_id(built(self.entries, self.found._replace(indexes=indexes)).parts)
        assert parts["copy:1"].payload["after"] == []
        assert "finish:1" in parts["analyze:1"].needs


def test_a_table_of_another_access_method_is_made_with_it():
    found = relations([table(1, "t", 10 * MB)])
    ddl = built([entry(1, 1259, 1, "CREATE TABLE t ()", method="columnar")], found).ddl
    assert ddl == [
        "SET LOCAL default_table_access_method = columnar",
        "CREATE TABLE t ()",
        "SET LOCAL default_table_access_method = heap",
    ]


class TestRanges:
    large = table(1, "t", 40_000 * MB)

    def test_few_cores_copy_a_table_whole(self):
        assert plan.split(self.large, 2) == []

    def test_many_cores_share_a_large_one_and_the_last_range_is_open(self):
        ranges = plan.split(self.large, 4)
        assert (len(ranges), ranges[0][0], ranges[-1][1]) == (4, 0, None)
        assert all(high == low for (_, high), (low, _) in pairwise(ranges))

    def test_a_range_is_neither_frozen_nor_emptied_and_statistics_follow_all(self):
        found = relations([self.large])
        entries = [entry(1, 1259, 1, "CREATE TABLE t (id int)")]
        parts = built(entries, found, plan.Setting(4, 4)).parts
        copies = [part for part in parts if part.kind == COPY]
        assert all(part.payload["before"] == [] for part in copies)
        assert not any("FREEZE" in part.payload["write"] for part in copies)
        assert "ctid >= '(0,0)'" in copies[0].payload["read"]
        analyze = by_id(parts)["analyze:1"]
        assert set(analyze.needs) == {part.id for part in copies}


def test_matviews_are_filled_one_after_the_other_and_empty_ones_stay_empty():
    found = relations(
        [table(1, "m1", kind="m"), table(2, "m2", kind="m", relispopulated=False)],
        [index(11, 1), index(12, 2)],
    )
    entries = [
        entry(1, 1259, 1, "CREATE MATERIALIZED VIEW public.m1 AS SELECT 1"),
        entry(2, 1259, 2, "CREATE MATERIALIZED VIEW public.m2 AS SELECT 1"),
        entry(3, 1259, 11, "CREATE INDEX i11"),
        entry(4, 1259, 12, "CREATE INDEX i12"),
    ]
    parts = by_id(built(entries, found).parts)
    assert parts["refresh:1"].payload["statements"] == [
        'REFRESH MATERIALIZED VIEW "public"."m1"', "CREATE INDEX i11", 'ANALYZE "public"."m1"',
    ]  # fmt: skip
    assert parts["refresh:2"].payload["statements"] == ["CREATE INDEX i12"]
    assert parts["refresh:2"].needs == ("refresh:1",)


class TestRanks:
    def test_a_rank_is_the_longest_chain_that_waits(self):
        chain = [
            Part("a", COPY, "", 1.0),
            Part("b", SQL, "", 2.0, ("a",)),
            Part("c", SQL, "", 5.0, ("a",)),
            Part("d", SQL, "", 1.0, ("b", "c")),
        ]
        assert ranks(chain) == {"a": 7.0, "b": 3.0, "c": 6.0, "d": 1.0}

    def test_a_need_that_an_earlier_run_met_is_no_obstacle(self):
        assert ranks([Part("b", SQL, "", 2.0, ("gone",))]) == {"b": 2.0}

    def test_parts_that_wait_for_each_other_are_an_error(self):
        with pytest.raises(LandbridgeError, match="wait for each other"):
            ranks([Part("a", SQL, "", 1, ("b",)), Part("b", SQL, "", 1, ("a",))])
