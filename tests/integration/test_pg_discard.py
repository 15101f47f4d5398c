"""pg_discard and pg_marks against a real server: what is dropped, and what never is."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.modules import (
    pg_discard,
    pg_fence,
    pg_marks,
)

pytestmark = pytest.mark.postgres


@pytest.fixture
def maintenance(source_server):
    return source_server.admin


def exists(maintenance, source):
    with connect("test", maintenance) as conn:
        query = "SELECT count(*) FROM pg_database WHERE datname = %s"
        return conn.execute(query, [source["dbname"]]).fetchone() == (1,)


def test_a_copy_that_nobody_was_let_into_is_dropped_once(source, maintenance, run_module):
    run_module(pg_fence, server=source, note="never opened")
    due = run_module(pg_discard, check_mode=True, server=maintenance, name=source["dbname"])
    assert due["changed"]
    assert exists(maintenance, source)
    assert run_module(pg_discard, server=maintenance, name=source["dbname"])["changed"]
    assert not exists(maintenance, source)
    assert not run_module(pg_discard, server=maintenance, name=source["dbname"])["changed"]


@pytest.mark.parametrize("fences", [[], ["carried back"], ["never opened", None]])
def test_a_database_that_may_hold_something_is_kept(source, maintenance, run_module, fences):
    for note in fences:
        run_module(pg_fence, server=source, note=note or "")
        if note is None:  # it was let into, and is fenced again
            run_module(pg_fence, server=source, state="open")
            run_module(pg_fence, server=source)
    failed = run_module(pg_discard, server=maintenance, name=source["dbname"])
    assert "is not dropped" in failed["msg"]
    assert exists(maintenance, source)


def test_marks_are_removed_once(source, run_module):
    with connect("test", source) as conn:
        conn.execute("CREATE SCHEMA landbridge; CREATE TABLE landbridge.part (id int)")
    assert run_module(pg_marks, check_mode=True, server=source)["changed"]
    assert [run_module(pg_marks, server=source)["changed"] for _ in range(2)] == [True, False]
