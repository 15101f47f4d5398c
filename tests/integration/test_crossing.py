"""Crossings between real servers, applications writing through a real PgBouncer all the time."""

import json
import os
import signal

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import (
    NotConvergedError,
    PostgresError,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.crossing import (
    request,
    session,
    stall,
    statements,
)
from ansible_collections.landbridge.migration.plugins.modules import pg_cutover, pg_follow_info
from tests.fix_crossing import SEQUENCES, hooked_cross

pytestmark = pytest.mark.postgres

PRIVILEGES = """
SELECT shobj_description(oid, 'pg_database'),
       (SELECT json_agg(json_build_array(grantee::regrole, privilege_type, is_grantable)
                        ORDER BY grantee::regrole::text, privilege_type)
          FROM aclexplode(coalesce(datacl, acldefault('d', datdba)))
         WHERE grantee = 0 OR grantee::regrole::text !~ '^landbridge_[0-9a-f]{12}_')
  FROM pg_database WHERE datname = current_database()"""
LINKS = """
SELECT (SELECT count(*) FROM pg_publication),
       (SELECT count(*) FROM pg_replication_slots WHERE database = current_database())"""


@pytest.fixture
def privileges():
    """Return a function: a database's comment and grants, links' roles left out."""

    def read(server):
        with psycopg.connect(**server, autocommit=True) as conn:
            comment, grants = conn.execute(PRIVILEGES).fetchone()
            return comment, [tuple(grant) for grant in grants]

    return read


def test_forward_and_back_lose_nothing_and_fail_nobody(
    followed, writers, require_whole, eventually
):
    with writers() as written:
        written.more(eventually)
        there = followed.cross("forward")
        assert (followed.accepts("source"), followed.accepts("target")) == (False, True)
        written.more(eventually)
        back = followed.cross("back")
        assert (followed.accepts("source"), followed.accepts("target")) == (True, False)
        written.more(eventually)
        again = followed.cross("forward")
        written.more(eventually)
    assert written.failed == []
    require_whole(written, "target")
    for done in (there, back, again):
        assert done.evidence["way_back"] == "following"
        assert done.evidence["sequences_set"] == 2


def test_sequences_go_on_where_they_were(followed):
    followed.rows(
        "source", """SELECT nextval('public."odd ''one"'), setval('ledger_id_seq', 900)"""
    )
    before = followed.rows("source", SEQUENCES)
    followed.cross("forward")
    assert followed.rows("target", SEQUENCES) == before
    followed.rows("target", """SELECT nextval('public."odd ''one"')""")
    before = followed.rows("target", SEQUENCES)
    followed.cross("back")
    assert followed.rows("source", SEQUENCES) == before


def test_after_a_crossing_the_guards_watch_the_way_back(followed, run_module, eventually):
    followed.cross("forward")
    asked = {"source": followed.source, "target": followed.target, "direction": "back"}

    def guards():
        result = run_module(pg_follow_info, **asked, watch_s=0)
        return {each["code"]: each for each in result["guards"]}

    eventually(lambda: guards() == {}, 20)
    with psycopg.connect(**followed.target) as conn:
        conn.execute("ALTER TABLE public.t ADD note text")
    assert "column public.t.note added" in guards()["ddl"]["message"]
    assert guards()["ddl"]["message"].startswith("target: ")


# The module.


def test_a_second_run_changes_nothing_and_check_mode_predicts(followed, run_module):
    due = run_module(pg_cutover, check_mode=True, **followed.options("forward"))
    assert followed.accepts("source")
    done = run_module(pg_cutover, **followed.options("forward"))
    assert done["steps"] == due["steps"]
    assert done["changed"] is due["changed"] is True
    again = run_module(pg_cutover, **followed.options("forward"))
    assert (again["changed"], again["steps"]) == (False, [])
    assert again["evidence"]["way_back"] == "following"
    assert again["evidence"]["serves"] == "target"


def test_back_before_forward_changes_nothing(followed, run_module):
    done = run_module(pg_cutover, **followed.options("back"))
    assert done["changed"] is False
    assert done["evidence"]["serves"] == "source"


def test_privileges_and_comments_come_and_go_with_the_crossing(followed, run_module, privileges):
    app = followed.pooled.app["user"]
    for server in (followed.source, followed.target):
        with psycopg.connect(**server, autocommit=True) as conn:
            conn.execute(f"CREATE ROLE {server['dbname']}_reader")
    reader = f"{followed.source['dbname']}_reader"
    mapped = f"{followed.target['dbname']}_reader"
    with psycopg.connect(**followed.source, autocommit=True) as conn:
        name = followed.source["dbname"]
        conn.execute(f"COMMENT ON DATABASE {name} IS 'the shop'")
        conn.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        conn.execute(f"GRANT CONNECT ON DATABASE {name} TO {app}, {reader}")
    before = privileges(followed.source)
    there = run_module(pg_cutover, **followed.options("forward", role_map={reader: mapped}))
    assert there["changed"], there
    comment, grants = privileges(followed.target)
    assert comment == "the shop"
    assert {who for who, _what, _grantable in grants} == {app, mapped, followed.target["user"]}
    back = run_module(pg_cutover, **followed.options("back", role_map={reader: mapped}))
    assert back["changed"], back
    assert privileges(followed.source) == before


def test_without_a_pooler_hooks_run_between_fence_and_opening(followed, run_module):
    options = {**followed.options("forward"), "pooler": {"kind": "none"}}
    fenced = run_module(pg_cutover, **options, until="fenced")
    assert [step["step"] for step in fenced["steps"]] == ["cross"]
    assert not followed.accepts("source")
    assert not followed.accepts("target")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(**followed.app("source"))
    done = run_module(pg_cutover, **options)
    assert done["evidence"]["serves"] == "target"
    assert followed.accepts("target")


def test_a_fence_for_hooks_is_taken_back_by_the_other_direction(followed, run_module):
    none = {"pooler": {"kind": "none"}}
    run_module(pg_cutover, **{**followed.options("forward"), **none, "until": "fenced"})
    back = run_module(pg_cutover, **{**followed.options("back"), **none})
    assert [step["step"] for step in back["steps"]] == ["reopen", "drop"]
    assert (followed.accepts("source"), followed.accepts("target")) == (True, False)


@pytest.mark.source_major(15)
def test_from_15_there_is_a_way_there_and_no_live_way_back(
    followed, run_module, writers, eventually
):
    with writers(2) as written:
        written.more(eventually)
        there = run_module(pg_cutover, **followed.options("forward"))
        written.more(eventually)
    assert written.failed == []
    assert there["evidence"]["way_back"] == "none"
    assert "no_live_way_back" in [finding["code"] for finding in there["findings"]]
    back = run_module(pg_cutover, **followed.options("back"))
    assert back["error"]["code"] == "precondition"
    assert "does not follow" in back["msg"]
    assert "window" in back["error"]["hint"]
    assert followed.accepts("target")


def test_the_way_back_can_be_left_out(followed, run_module):
    done = run_module(pg_cutover, **followed.options("forward", way_back=False))
    assert done["evidence"]["way_back"] == "none"
    again = run_module(pg_cutover, **followed.options("forward", way_back=False))
    assert again["changed"] is False


# What is refused, and what is undone.


def refused(followed, run_module, said, **more):
    """Run forward; see that it is refused, and that the source serves and is followed still."""
    failed = run_module(pg_cutover, **followed.options("forward", **more))
    assert failed.get("failed"), failed
    assert said in failed["msg"], failed
    assert failed["error"]["hint"]
    assert (followed.accepts("source"), followed.accepts("target")) == (True, False)
    assert [row["paused"] for row in followed.pooled.ask("SHOW DATABASES")] == [0, 0, 0]
    assert followed.rows("target", LINKS) == [(0, 0)], "something of a way back was left"
    return failed


def test_a_link_that_is_behind_is_refused_before_anyone_waits(followed, run_module, as_superuser):
    with as_superuser(followed.target) as conn:
        conn.execute("BEGIN; LOCK TABLE public.ledger")
        followed.rows("source", "INSERT INTO ledger VALUES (1, gen_random_uuid(), 1) RETURNING 1")
        failed = refused(followed, run_module, "did not show", drain_timeout_s=0.5)
    assert failed["error"]["code"] == "deadline"
    assert "pause" not in [each["step"] for each in failed["evidence"]["timings"]]


def test_a_long_transaction_holds_nobody_else_up(followed, run_module):
    with followed.pooled.connect(autocommit=False) as conn:
        conn.execute("INSERT INTO ledger (key, worker) VALUES (gen_random_uuid(), 1)")
        failed = refused(followed, run_module, "did not end", pause_timeout_s=0.3)
        assert failed["error"]["retryable"] is True
    assert run_module(pg_cutover, **followed.options("forward"))["changed"] is True


def test_a_superusers_session_is_refused_before_anyone_waits(followed, run_module, as_superuser):
    with as_superuser(followed.source) as conn:
        conn.execute("SELECT 1")
        refused(followed, run_module, "session of superuser")


def test_a_pooler_that_leads_elsewhere_is_refused(followed, run_module):
    driver = followed.pooled.driver()
    driver.switch("shop", "127.0.0.1", 1, "elsewhere")
    failed = run_module(pg_cutover, **followed.options("forward"))
    assert "the pooler leads to neither side" in failed["msg"]
    driver.switch("shop", *followed.pooled.source)
    driver.close()


def test_a_role_that_is_not_on_the_target_is_refused(followed, run_module):
    role = f"{followed.source['dbname']}_only"
    with psycopg.connect(**followed.source, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {role}")
        conn.execute(f"GRANT CONNECT ON DATABASE {followed.source['dbname']} TO {role}")
    refused(followed, run_module, f"role {role} is missing")
    done = run_module(pg_cutover, **followed.options("forward", role_map={role: None}))
    assert done["changed"], done


def test_a_target_that_cannot_be_reached_back_is_refused_before_anyone_waits(followed, run_module):
    failed = refused(followed, run_module, "does not reach", addresses={"target": {"port": 1}})
    assert "firewall" in failed["error"]["hint"]
    assert run_module(pg_cutover, **followed.options("forward"))["changed"] is True


def test_a_difference_found_in_the_stall_is_undone(followed):
    followed.rows(
        "source",
        """INSERT INTO public.ledger (key, worker)
        SELECT gen_random_uuid(), 1 FROM generate_series(1, 50) RETURNING 1""",
    )

    def comparing(source, target, tables):
        compare = request.comparing(source, target, tables)

        def differs(budget_ms):
            assert not followed.accepts("source")
            followed.rows("target", "UPDATE public.ledger SET worker = 2 WHERE id = 50 RETURNING 1")
            return compare(budget_ms)

        return differs

    limits = request.Limits(delta_ms=2000)
    with pytest.raises(NotConvergedError, match=r"differ in 1 of the tables.*public\.ledger"):
        followed.cross("forward", comparing=comparing, limits=limits)
    followed.rows("target", "UPDATE public.ledger SET worker = 1 WHERE id = 50 RETURNING 1")
    assert (followed.accepts("source"), followed.accepts("target")) == (True, False)
    done = followed.cross("forward", limits=limits)
    assert done.evidence["delta"]["rows"] > 0
    assert followed.accepts("target")


def test_nobody_serves_while_it_cannot_be_told_whether_the_target_opened(
    followed, monkeypatch, target_server
):
    run, take_over, opening = session.Session.run, statements.take_over, []

    def noted(*args):
        opening.append(take_over(*args))
        return opening[0]

    def lost(self, script):
        found = run(self, script)
        if script in opening:
            target_server.kill()
            raise PostgresError("target: server closed the connection", retryable=True)
        return found

    monkeypatch.setattr(statements, "take_over", noted)
    monkeypatch.setattr(session.Session, "run", lost)
    monkeypatch.setattr(stall, "LOOK_S", 0.5)
    with pytest.raises(PostgresError):
        followed.cross("forward")
    assert not followed.accepts("source")
    monkeypatch.undo()
    target_server.start()
    assert followed.accepts("target")
    done = followed.cross("forward")
    assert [step.do.value for step in done.steps] == ["route", "follow", "drop"]
    assert done.evidence["way_back"] == "following"


def test_no_secret_is_in_a_result(followed, run_module):
    secrets = [followed.source["password"], followed.pooled.console["password"]]
    done = run_module(pg_cutover, **followed.options("forward"))
    failed = run_module(pg_cutover, **followed.options("back", routes={"source": {"port": 1}}))
    assert not any(secret in json.dumps([done, failed]) for secret in secrets)


# What replication does not carry.

OBJECTS = """
SELECT oid::text, md5(lo_get(oid)), pg_get_userbyid(lomowner), lomacl IS NOT NULL
  FROM pg_largeobject_metadata ORDER BY oid"""
CARRIED = """
SELECT lo_from_bytea(70001, 'first'), lo_from_bytea(70002, repeat('long', 9000)::bytea);
GRANT SELECT ON LARGE OBJECT 70001 TO {app};
INSERT INTO public.cache VALUES (1, 'old')"""
CACHE = "CREATE UNLOGGED TABLE public.cache (id int PRIMARY KEY, v text, twice int GENERATED ALWAYS AS (id * 2) STORED)"  # noqa: E501
LATE = """
SELECT lo_unlink(70001), lo_put(70002, 0, 'shorter'), lo_from_bytea(70003, 'new');
SELECT lo_truncate(lo_open(70002, 131072), 7);
TRUNCATE public.cache; INSERT INTO public.cache VALUES (2, 'new')"""


@pytest.fixture
def told(followed):
    """Return a function: run statements on a side, past everything."""

    def tell(side, *statements):
        server = followed.source if side == "source" else followed.target
        with psycopg.connect(**server, autocommit=True) as conn:
            for statement in statements:
                conn.execute(statement)

    return tell


def test_small_large_objects_and_unlogged_tables_come_along_to_the_last_write(followed, told):
    app = followed.pooled.app["user"]
    told("source", CACHE, CARRIED.format(app=app))
    told("target", CACHE, "SELECT lo_from_bytea(70009, 'of an earlier time')")

    def hook(point):
        if point == "ready":
            assert followed.rows("target", OBJECTS) == followed.rows("source", OBJECTS)
            assert followed.rows("target", "TABLE cache") == [(1, "old", 2)]
            told("source", LATE)

    done = hooked_cross(**followed.hooked("forward"), hook=hook)
    assert followed.rows("target", OBJECTS) == followed.rows("source", OBJECTS)
    assert len(followed.rows("target", OBJECTS)) == 2
    assert followed.rows("target", "TABLE cache") == [(2, "new", 4)]
    assert done.evidence["carried"] == {"large_objects": 3, "unlogged_rows": 1}


def test_what_was_not_written_to_is_not_compared_while_applications_wait(followed, told):
    told("source", CACHE, CARRIED.format(app=followed.pooled.app["user"]))
    told("target", CACHE)
    done = followed.cross("forward")
    assert done.evidence["carried"] == {"large_objects": 0, "unlogged_rows": 0}
    assert followed.rows("target", "TABLE cache") == [(1, "old", 2)]


def test_too_many_bytes_to_carry_are_refused_before_anyone_waits(followed, told, run_module):
    told("source", "SELECT lo_from_bytea(0, repeat('x', 2000000)::bytea)")
    failed = refused(followed, run_module, "1 large objects", carry_limit_mb=1)
    assert "window" in failed["error"]["hint"]


IDENTITY = "SELECT relreplident FROM pg_class WHERE oid = 'public.t'::regclass"


def test_a_table_without_a_key_is_identified_on_both_sides_alike(followed):
    assert (followed.rows("source", IDENTITY), followed.rows("target", IDENTITY)) == (
        [("f",)], [("d",)],
    )  # fmt: skip
    followed.rows("source", "INSERT INTO public.t VALUES ('one'), ('one'), ('two') RETURNING 1")
    followed.cross("forward")
    assert followed.rows("target", IDENTITY) == [("f",)]
    followed.rows("target", "UPDATE public.t SET v = 'three' WHERE v = 'two' RETURNING 1")
    followed.cross("back")
    assert sorted(followed.rows("source", "TABLE public.t")) == [("one",), ("one",), ("three",)]


def test_a_key_that_only_the_serving_side_has_is_refused(followed, told, run_module):
    told("target", "ALTER TABLE counted DROP CONSTRAINT counted_pkey")
    refused(followed, run_module, "public.counted lacks the key")


# Who else is there.


def test_a_second_crossing_at_the_same_time_is_refused(followed, run_module, monkeypatch):
    settings = session.SETTINGS.replace("'10s'", "'200ms'")
    monkeypatch.setattr(session, "SETTINGS", settings)
    with connect("target", followed.target) as conn:
        conn.execute(session.TURN)
        failed = run_module(pg_cutover, **followed.options("forward"))
    assert "another crossing" in failed["msg"]
    assert failed["error"]["retryable"] is True


def test_a_run_told_to_end_undoes_what_it_has_begun(followed):
    def hook(point):
        if point == "drained":
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        hooked_cross(**followed.hooked("forward"), hook=hook)
    assert (followed.accepts("source"), followed.accepts("target")) == (True, False)
    assert [row["paused"] for row in followed.pooled.ask("SHOW DATABASES")] == [0, 0, 0]


def test_no_session_is_let_in_while_others_are_ended(followed, writers, never_both, eventually):
    with writers(2) as written, never_both:
        for direction in ("forward", "back", "forward"):
            written.more(eventually, 5)
            followed.cross(direction)
        written.more(eventually, 5)
    never_both.require(3)
    assert written.failed == []
