"""Writers meet fences, moves and kills on real servers; the ledger tells what became of writes."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from localcloud.errors import Conflict
from localcloud.home import checkout
from localcloud.postgres.binaries import binaries
from localcloud.sample import check, cli, ledger, names, writer, writers
from localcloud.sample.databases import select
from localcloud.sample.roles import make_roles
from localcloud.sample.workload import WORKLOADS

pytestmark = pytest.mark.postgres

[IDENTITY] = select(["identity"])

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE usename = %s AND wait_event = 'SyncRep'"


def start(places, *chosen, rate=60, wait=True):
    """Start writers as a user does; return which were started."""
    argv = [sys.executable, "-m", "localcloud", "sample", "--home", places.home, "writers"]
    argv += ["start", "--json", "--rate", str(rate), *([] if wait else ["--no-wait"]), *chosen]
    done = subprocess.run(argv, cwd=checkout(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["started"]


def acknowledged(places, name):
    return len(ledger.read(places.ledger(name)).keys("acknowledged"))


@pytest.fixture
def admin(sample):
    """A session of the admin's: fences by its rights alone."""
    with psycopg.connect(**sample, autocommit=True) as conn:
        yield conn


@pytest.fixture
def fenced(admin):
    """Return a function that fences a database off from its service; opened again at the end."""
    fences = []

    def fence(database):
        fences.append(database)
        execute(admin, "REVOKE CONNECT ON DATABASE {} FROM {}", database.dbname, database.app)
        admin.execute(TERMINATE, [database.app])

    def open_again(database):
        execute(admin, "GRANT CONNECT ON DATABASE {} TO {}", database.dbname, database.app)

    fence.open = open_again
    yield fence
    for database in fences:
        open_again(database)


def execute(conn, statement, *identifiers):
    conn.execute(sql.SQL(statement).format(*map(sql.Identifier, identifiers)))


def test_all_services_write_and_every_acknowledged_write_is_there_once(places, eventually):
    assert start(places, *WORKLOADS) == list(WORKLOADS)
    assert start(places, *WORKLOADS) == []  # they run
    eventually(lambda: all(acknowledged(places, name) > 20 for name in WORKLOADS), 30)
    assert sorted(writers.stop(places, list(WORKLOADS))) == sorted(WORKLOADS)
    assert writers.stop(places, list(WORKLOADS)) == []
    for name in WORKLOADS:
        checked = check.check(places, name)
        assert checked.passed, checked
        assert checked.acknowledged > 20
        assert not checked.errors
        assert not checked.outages


def test_a_fence_refuses_writers_until_it_is_opened(places, fenced, eventually):
    start(places, "identity")
    fenced(IDENTITY)
    eventually(lambda: writers.status(places, "identity").refused_since)
    eventually(lambda: writers.status(places, "identity").errors > 5)
    size = ledger.size(places.ledger("identity"))
    fenced.open(IDENTITY)
    eventually(lambda: writers.accepted(places, "identity", size))
    writers.stop(places, ["identity"])
    checked = check.check(places, "identity")
    assert checked.passed, checked
    assert checked.errors
    # Each of two connections was terminated; how long both were out is one outage or two.
    assert 1 <= len(checked.outages) <= 2
    assert all(outage.seconds > 0 for outage in checked.outages)
    assert checked.longest_wait_ms >= 50


def test_writers_follow_a_repointed_name_to_the_server_their_rows_went_to(
    places, sample, fenced, target_server, target, eventually
):
    start(places, "identity")
    eventually(lambda: acknowledged(places, "identity") > 30)
    fenced(IDENTITY)
    before = acknowledged(places, "identity")
    there = move(places, sample, target_server.admin)
    size = ledger.size(places.ledger("identity"))
    address = names.address(places, IDENTITY, there)
    assert names.repoint(places, {"identity": address}) == ["identity"]
    assert names.repoint(places, {"identity": address}) == []
    writers.wait_for_address(places, {"identity": size}, f"{there['host']}:{there['port']}", 20)
    eventually(lambda: acknowledged(places, "identity") > before + 30)
    writers.stop(places, ["identity"])
    checked = check.check(places, "identity")
    assert checked.passed, checked
    assert checked.address == f"{there['host']}:{there['port']}"
    assert checked.acknowledged > before
    assert checked.longest_outage.seconds > 0.5
    # The old side has what was written before, and lacks what was written since.
    names.repoint(places, {"identity": names.address(places, IDENTITY, sample)})
    fenced.open(IDENTITY)
    checked = check.check(places, "identity")
    assert not checked.passed
    assert len(checked.findings.lost) == checked.acknowledged - before


def move(places, sample, admin):
    """Copy identity to another server with the field's tools. Return that server."""
    with psycopg.connect(**admin, autocommit=True) as conn:
        make_roles(conn, [IDENTITY], places)
        execute(conn, "CREATE DATABASE identity OWNER {} TEMPLATE template0", IDENTITY.owner)
    dump = [binaries(17) / "pg_dump", "-Fc", "-Z0", "--dbname=identity"]
    restore = [binaries(17) / "pg_restore", "--exit-on-error", "--dbname=identity"]
    with subprocess.Popen(dump, env=libpq(sample), stdout=subprocess.PIPE) as source:
        subprocess.run(restore, env=libpq(admin), stdin=source.stdout, check=True)
    assert source.returncode == 0
    return admin


def libpq(server):
    variables = {f"PG{key.upper()}": str(value) for key, value in server.items()}
    return {"PATH": os.environ["PATH"], **variables}


def test_without_a_fence_writers_follow_when_their_address_expires(places, sample, eventually):
    start(places, "metrics")
    elsewhere = {**sample, "host": "127.31.0.1", "port": 1}
    [metrics] = select(["metrics"])
    names.repoint(places, {"metrics": names.address(places, metrics, elsewhere)})
    eventually(lambda: writers.status(places, "metrics").refused_since)
    names.repoint(places, {"metrics": names.address(places, metrics, sample)})
    eventually(lambda: not writers.status(places, "metrics").refused_since)
    writers.stop(places, ["metrics"])
    assert check.check(places, "metrics").passed


def test_a_lost_row_and_a_doubled_one_fail_the_check(places, sample, capsys):
    start(places, "metrics")
    writers.stop(places, ["metrics"])
    lost, doubled, torn = one_of_each(places)
    with psycopg.connect(**{**sample, "dbname": "metrics"}, autocommit=True) as conn:
        conn.execute(
            "DELETE FROM metrics.samples WHERE ctid = (SELECT min(ctid)"
            " FROM metrics.samples_live_0 WHERE batch = %s) AND batch = %s",
            [lost, lost],
        )
        conn.execute(
            "INSERT INTO metrics.events SELECT * FROM metrics.events WHERE batch = %s LIMIT 1",
            [doubled],
        )
        conn.execute("DELETE FROM metrics.events WHERE batch = %s", [torn])
    assert cli.main(["--home", str(places.home), "ledger", "check", "--json", "metrics"]) == 1
    [found] = json.loads(capsys.readouterr().out)["databases"]
    assert not found["passed"]
    assert found["lost_count"] == 1
    assert found["lost"][0].startswith(f"{lost} (samples: ")
    assert found["doubled_count"] == 1
    assert found["doubled"][0].startswith(f"{doubled} (events: ")
    assert found["torn"] == [torn]
    assert cli.main(["--home", str(places.home), "ledger", "check", "metrics"]) == 1
    text = capsys.readouterr().out
    assert "FAILED" in text
    assert f"metrics: lost: {lost}" in text


def one_of_each(places):
    """Return the keys of two acknowledged writes and of one made unknown."""
    first, second, third, *_ = ledger.read(places.ledger("metrics")).keys("acknowledged")
    with ledger.Ledger(places.ledger("metrics")) as book:
        book.append("unknown", connection=0, key=third, sqlstate=None)
    return first, second, third


def test_a_row_missing_under_a_trigger_fails_the_check_of_what_it_keeps(places, sample):
    start(places, "shop")
    writers.stop(places, ["shop"])
    with psycopg.connect(**{**sample, "dbname": "shop"}) as conn:
        conn.execute("UPDATE sales.orders SET total = total + 1 WHERE order_id = 1000001")
        conn.commit()
        checked = check.check(places, "shop")
        conn.execute("UPDATE sales.orders SET total = total - 1 WHERE order_id = 1000001")
    assert not checked.passed
    assert checked.broken == {"orders whose total is not that of their lines": 1}
    assert check.check(places, "shop").passed


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
        eventually(lambda: standby_awaited.execute(WAITING, [IDENTITY.app]).fetchone()[0] == 1)
        standby_awaited.execute(TERMINATE, [IDENTITY.app])
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
    places, sample_server, standby_awaited, eventually
):
    since = ledger.size(places.ledger("identity"))
    start(places, "identity", wait=False)
    eventually(lambda: standby_awaited.execute(WAITING, [IDENTITY.app]).fetchone()[0] == 2)
    standby_awaited.execute(TERMINATE, [IDENTITY.app])
    standby_awaited.execute("ALTER SYSTEM RESET synchronous_standby_names")
    standby_awaited.execute("SELECT pg_reload_conf()")
    eventually(lambda: writers.accepted(places, "identity", since))
    writers.stop(places, ["identity"])
    checked = check.check(places, "identity")
    assert checked.passed, checked
    assert checked.unknown == 2
    assert checked.findings.unknown_there == 2


def test_a_writer_ends_within_a_second_although_commit_does_not_answer(
    places, standby_awaited, eventually
):
    start(places, "identity", wait=False)
    eventually(lambda: standby_awaited.execute(WAITING, [IDENTITY.app]).fetchone()[0] == 2)
    started = time.monotonic()
    assert writers.stop(places, ["identity"]) == ["identity"]
    assert time.monotonic() - started < 1.2
    record = ledger.read(places.ledger("identity"))
    assert len(record.keys("intent")) == 2
    standby_awaited.execute(TERMINATE, [IDENTITY.app])
    eventually(lambda: standby_awaited.execute(WAITING, [IDENTITY.app]).fetchone()[0] == 0)
    checked = check.check(places, "identity")
    assert checked.passed, checked
    assert checked.unknown == checked.findings.unknown_there == 2


def test_a_killed_writer_leaves_a_ledger_that_holds_and_room_for_the_next(places, eventually):
    start(places, "legacy", rate=200)
    pid = writers.running(places, "legacy")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: writers.running(places, "legacy") is None)
    assert start(places, "legacy") == ["legacy"]
    assert writers.running(places, "legacy") != pid
    writers.stop(places, ["legacy"])
    checked = check.check(places, "legacy")
    assert checked.passed, checked


def test_a_check_may_run_while_writers_write(places):
    start(places, "shop", "legacy", rate=200)
    for name in ("shop", "legacy"):
        assert check.check(places, name).passed


def test_a_second_writer_of_a_service_is_refused(places):
    start(places, "shop")
    with (
        pytest.raises(Conflict, match="shop: a writer runs already"),
        writer._only_one(places, "shop"),
    ):
        pass


def test_a_writer_that_cannot_write_says_why(places):
    places.names.unlink()
    with pytest.raises(AssertionError, match=r"shop: the writer ended: .*load the sample first"):
        start(places, "shop")
    assert writers.running(places, "shop") is None


def test_passwords_are_nowhere_but_in_their_files(places, sample_server, eventually):
    passwords = [p.read_text() for p in (places.home / "secrets").iterdir()]
    assert len(passwords) == 6
    start(places, "shop")
    process = Path(f"/proc/{writers.running(places, 'shop')}")
    seen = [process / "cmdline", process / "environ", places.log("shop"), places.ledger("shop")]
    seen += [places.names, sample_server.log]
    for path in seen:
        content = path.read_bytes().decode(errors="replace")
        assert not [p for p in passwords if p in content], path
    for path in places.home.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0 or path.suffix in (".lock", ".log"), path
