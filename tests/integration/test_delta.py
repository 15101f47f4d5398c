"""The delta pass on real servers: what was written last, compared within a budget."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils import errors
from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify import delta as module
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.delta import (
    delta,
    prepare,
    written,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.verify.verdict import Moving

pytestmark = pytest.mark.postgres

SCHEMA = """
CREATE TABLE public.big (id int PRIMARY KEY, what text);
CREATE TABLE public.wide (name text, nr int, up bool, PRIMARY KEY (name, nr));
CREATE TABLE public.small (id int PRIMARY KEY, what text);
CREATE TABLE public.log (what text);
CREATE TABLE public.long_log (what text);
INSERT INTO public.big SELECT n, repeat('x', 50) FROM generate_series(1, 20000) n;
INSERT INTO public.wide SELECT 'name ' || n, n, true FROM generate_series(1, 5000) n;
INSERT INTO public.small SELECT n, 'x' FROM generate_series(1, 50) n;
INSERT INTO public.log SELECT 'line' FROM generate_series(1, 50) n;
INSERT INTO public.long_log SELECT 'line' FROM generate_series(1, 5000) n;
ANALYZE;
SELECT pg_stat_force_next_flush()"""

PLENTY_MS = 10_000


@pytest.fixture
def conns(source, target, source_major):
    with connect("source", source) as one, connect("target", target) as other:
        one.execute(SCHEMA if source_major >= 15 else SCHEMA.rpartition(";")[0])
        other.execute(SCHEMA)
        yield one, other


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Nothing takes too long on a machine that is busy."""
    monkeypatch.setattr(module, "ITEM_MS", PLENTY_MS)


def told(found):
    return {each["table"]: (each["what"], each["rows"]) for each in found["compared"]}


def left(found):
    return {each["table"]: each["reason"] for each in found["left"]}


def test_the_newest_rows_of_big_tables_and_small_tables_as_a_whole_are_compared(conns):
    found = delta(*conns, prepare(*conns), PLENTY_MS)
    assert found["equal"]
    assert told(found) == {
        "public.big": ("newest", 25),
        "public.small": ("all", 50),
        "public.log": ("all", 50),
    }
    assert left(found) == {
        "public.wide": "its key tells no order that both sides agree on",
        "public.long_log": "its key tells no order that both sides agree on",
    }
    assert found["rows"] == 125


def test_only_tables_written_to_since_an_earlier_look_are_compared(conns):
    since = written(conns[0])
    for conn in conns:
        conn.execute("UPDATE public.small SET what = 'y'; SELECT pg_stat_force_next_flush()")
    conns[0].execute("SELECT 1")
    assert told(delta(*conns, prepare(*conns, since=since), PLENTY_MS)).keys() == {"public.small"}


def test_only_tables_that_are_followed_are_compared(conns):
    found = delta(*conns, prepare(*conns, tables=[("public", "log")]), PLENTY_MS)
    assert told(found).keys() == {"public.log"}


def test_rows_listed_as_moving_are_compared_by_their_keys(conns):
    moving = [
        Moving("public.big", {"id": "7"}),
        Moving("public.wide", {"name": "name 5", "nr": "5"}),
        Moving("public.wide", {"name": "it's gone", "nr": "1"}),
        Moving("public.log", {}, 3),
        Moving("public.long_log", {}, 3),
        Moving("public.nowhere", {"id": "1"}),
    ]
    prepared = prepare(*conns, moving, since=written(conns[0]))
    found = delta(*conns, prepared, PLENTY_MS)
    assert told(found) == {
        "public.big": ("moving", 1),
        "public.wide": ("moving", 1),
        "public.log": ("all", 50),
    }
    assert left(found) == {
        "public.long_log": "it has no key to read those rows by",
        "public.nowhere": "it is not on both sides",
    }


# What is done to the target, and how it is told.
PLANTED = {
    "UPDATE big SET what = 'y' WHERE id = 19980": "id 19980 (changed in what)",
    "INSERT INTO big VALUES (20001, 'never')": "id 20001 (extra)",
    "DELETE FROM big WHERE id = 20000": "id 20000 (missing)",
    "UPDATE wide SET up = false WHERE nr = 5": "name name 5, nr 5 (changed in up)",
    "DELETE FROM small WHERE id = 1": "id 1 (missing)",
}


@pytest.mark.parametrize("change", PLANTED, ids=PLANTED.values())
def test_a_row_that_differs_is_named(conns, change):
    prepared = prepare(*conns, [Moving("public.wide", {"name": "name 5", "nr": "5"})])
    conns[1].execute(f"SET search_path = public; {change}; SET search_path = ''")
    with pytest.raises(errors.NotConvergedError) as failed:
        delta(*conns, prepared, PLENTY_MS)
    [table] = failed.value.result["evidence"]["differing"]
    assert table["rows"] == [PLANTED[change]]
    assert PLANTED[change] in str(failed.value)


def test_a_doubled_row_without_a_key_is_told(conns):
    prepared = prepare(*conns)
    conns[1].execute("INSERT INTO public.log VALUES ('line')")
    with pytest.raises(errors.NotConvergedError, match="copies 50 on the source, 51"):
        delta(*conns, prepared, PLENTY_MS)


def test_what_the_budget_does_not_allow_is_told_and_is_no_error(conns):
    prepared = prepare(*conns)
    found = delta(*conns, prepared, 0)
    assert (found["equal"], found["compared"]) == (True, [])
    assert set(left(found).values()) >= {"no time was left"}
    assert delta(*conns, prepared, PLENTY_MS)["compared_count"] == 3


def test_rows_that_take_too_long_are_told_and_left_out(conns, monkeypatch):
    monkeypatch.setattr(module, "ITEM_MS", 0)
    found = delta(*conns, prepare(*conns), PLENTY_MS)
    assert (found["compared"], found["rows"]) == ([], 0)
    assert left(found)["public.small"] == "it takes more than 0 ms"


def test_a_side_that_is_slow_is_cut_off_and_its_session_is_as_before(conns, target):
    prepared = prepare(*conns)
    with connect("test", target) as locker, locker.transaction():
        locker.execute("LOCK TABLE public.big IN ACCESS EXCLUSIVE MODE")
        found = delta(*conns, prepared, 50)
    assert found["compared"] == []
    assert conns[1].execute("SHOW statement_timeout").fetchone() == ("0",)
    assert delta(*conns, prepared, PLENTY_MS)["compared_count"] == 3


def test_nothing_written_is_nothing_compared(conns):
    prepared = prepare(*conns, since=written(conns[0]))
    assert delta(*conns, prepared, module.PLENTY_MS)["compared_count"] == 0
