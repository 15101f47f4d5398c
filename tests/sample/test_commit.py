"""COMMIT and the answers that never come: what is unknown, and what is known not to be there."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from localcloud.sample import check, ledger, names, writer, writers

pytestmark = pytest.mark.postgres

SERVICE = "identity_app"

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND wait_event = 'SyncRep'"


@pytest.fixture
def standby_awaited(sample_server):
    """Make every COMMIT wait for a standby that is not there: done, but never answered."""
    with sample_server.as_superuser() as conn:
        conn.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        conn.execute("SELECT pg_reload_conf()")
        yield conn
        conn.execute("ALTER SYSTEM RESET synchronous_standby_names")
        conn.execute("SELECT pg_reload_conf()")


def test_a_session_lost_while_commit_waits_is_unknown_and_may_have_committed(
    places, sample, standby_awaited, eventually
):
    key = uuid.uuid4()
    address = names.resolve(places, "identity")
    with psycopg.connect(**address.keywords(), autocommit=True) as conn, ThreadPoolExecutor() as p:
        conn.execute("BEGIN")
        conn.execute(
            "INSERT INTO identity.audit_log (session_id, action)"
            " SELECT min(session_id::text)::uuid, %s FROM identity.sessions",
            [str(key)],
        )
        committing = p.submit(writer.commit, conn)
        eventually(lambda: standby_awaited.execute(WAITING, [SERVICE]).fetchone()[0] == 1)
        standby_awaited.execute(TERMINATE, [SERVICE])
        raised = committing.exception(10)
    assert isinstance(raised, writer.CommitError)
    assert raised.unknown
    query = "SELECT count(*) FROM identity.audit_log WHERE action = %s"
    assert count(sample, query, str(key)) == 1


def count(sample, query, *values):
    with psycopg.connect(**{**sample, "dbname": "identity"}, autocommit=True) as conn:
        return conn.execute(query, values).fetchone()[0]


def test_a_commit_that_the_server_refuses_is_known_not_to_have_happened(places, sample):
    with psycopg.connect(**{**sample, "dbname": "shop"}, autocommit=True) as conn:
        conn.execute("BEGIN")
        # Its foreign key is deferred: the refusal is COMMIT's own answer.
        conn.execute("INSERT INTO sales.payments (order_id, paid_at, amount) VALUES (0, now(), 1)")
        with pytest.raises(writer.CommitError) as raised:
            writer.commit(conn)
        assert not raised.value.unknown
        assert raised.value.sqlstate == "23503"
        conn.execute("BEGIN")
        with pytest.raises(psycopg.errors.DivisionByZero):
            conn.execute("SELECT 1 / 0")
        with pytest.raises(writer.CommitError, match="COMMIT answered ROLLBACK") as raised:
            writer.commit(conn)
        assert not raised.value.unknown


def test_writers_whose_sessions_die_at_commit_go_on_and_their_writes_stay_unknown(
    places, start, sample_server, standby_awaited, eventually
):
    since = ledger.size(places.ledger("identity"))
    start("identity", wait=False)
    eventually(lambda: standby_awaited.execute(WAITING, [SERVICE]).fetchone()[0] == 2)
    standby_awaited.execute(TERMINATE, [SERVICE])
    standby_awaited.execute("ALTER SYSTEM RESET synchronous_standby_names")
    standby_awaited.execute("SELECT pg_reload_conf()")
    eventually(lambda: writers.accepted(places, "identity", since))
    writers.stop(places, ["identity"])
    checked = check.check(places, "identity")
    assert checked.passed, checked
    assert checked.unknown == 2
    assert checked.findings.unknown_there == 2


def test_a_writer_ends_within_a_second_although_commit_does_not_answer(
    places, start, standby_awaited, eventually
):
    start("identity", wait=False)
    eventually(lambda: standby_awaited.execute(WAITING, [SERVICE]).fetchone()[0] == 2)
    started = time.monotonic()
    assert writers.stop(places, ["identity"]) == ["identity"]
    assert time.monotonic() - started < 1.2
    record = ledger.read(places.ledger("identity"))
    assert len(record.keys("intent")) == 2
    standby_awaited.execute(TERMINATE, [SERVICE])
    eventually(lambda: standby_awaited.execute(WAITING, [SERVICE]).fetchone()[0] == 0)
    checked = check.check(places, "identity")
    assert checked.passed, checked
    assert checked.unknown == checked.findings.unknown_there == 2
