"""Writers meet fences, moves and kills on real servers; the ledger tells what became of writes."""

import json
import os
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from localcloud.errors import Conflict
from localcloud.postgres.binaries import binaries
from localcloud.sample import check, cli, ledger, names, writer, writers
from localcloud.sample.databases import select
from localcloud.sample.roles import make_roles
from localcloud.sample.workload import WORKLOADS

pytestmark = pytest.mark.postgres

[IDENTITY] = select(["identity"])

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s"


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


def test_all_services_write_and_every_acknowledged_write_is_there_once(places, start, eventually):
    assert start(*WORKLOADS) == list(WORKLOADS)
    assert start(*WORKLOADS) == []  # they run
    eventually(lambda: all(acknowledged(places, name) > 20 for name in WORKLOADS), 30)
    assert sorted(writers.stop(places, list(WORKLOADS))) == sorted(WORKLOADS)
    assert writers.stop(places, list(WORKLOADS)) == []
    for name in WORKLOADS:
        checked = check.check(places, name)
        assert checked.passed, checked
        assert checked.acknowledged > 20
        assert not checked.errors
        assert not checked.outages


def test_a_fence_refuses_writers_until_it_is_opened(places, start, fenced, eventually):
    start("identity")
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
    places, start, sample, fenced, target_server, target, eventually
):
    start("identity")
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


def test_without_a_fence_writers_follow_when_their_address_expires(
    places, start, sample, eventually
):
    start("metrics")
    elsewhere = {**sample, "host": "127.31.0.1", "port": 1}
    [metrics] = select(["metrics"])
    names.repoint(places, {"metrics": names.address(places, metrics, elsewhere)})
    eventually(lambda: writers.status(places, "metrics").refused_since)
    names.repoint(places, {"metrics": names.address(places, metrics, sample)})
    eventually(lambda: not writers.status(places, "metrics").refused_since)
    writers.stop(places, ["metrics"])
    assert check.check(places, "metrics").passed


def test_a_lost_row_and_a_doubled_one_fail_the_check(places, start, sample, capsys):
    start("metrics")
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


def test_a_row_missing_under_a_trigger_fails_the_check_of_what_it_keeps(places, start, sample):
    start("shop")
    writers.stop(places, ["shop"])
    with psycopg.connect(**{**sample, "dbname": "shop"}) as conn:
        conn.execute("UPDATE sales.orders SET total = total + 1 WHERE order_id = 1000001")
        conn.commit()
        checked = check.check(places, "shop")
        conn.execute("UPDATE sales.orders SET total = total - 1 WHERE order_id = 1000001")
    assert not checked.passed
    assert checked.broken == {"orders whose total is not that of their lines": 1}
    assert check.check(places, "shop").passed


def test_a_killed_writer_leaves_a_ledger_that_holds_and_room_for_the_next(
    places, start, eventually
):
    start("legacy", rate=200)
    pid = writers.running(places, "legacy")
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: writers.running(places, "legacy") is None)
    assert start("legacy") == ["legacy"]
    assert writers.running(places, "legacy") != pid
    writers.stop(places, ["legacy"])
    checked = check.check(places, "legacy")
    assert checked.passed, checked


def test_a_check_may_run_while_writers_write(places, start):
    start("shop", "legacy", rate=200)
    for name in ("shop", "legacy"):
        assert check.check(places, name).passed


def test_a_second_writer_of_a_service_is_refused(places, start):
    start("shop")
    with (
        pytest.raises(Conflict, match="shop: a writer runs already"),
        writer._only_one(places, "shop"),
    ):
        pass


def test_a_writer_that_cannot_write_says_why(places, start):
    places.names.unlink()
    with pytest.raises(AssertionError, match=r"shop: the writer ended: .*load the sample first"):
        start("shop")
    assert writers.running(places, "shop") is None


def test_passwords_are_nowhere_but_in_their_files(places, start, sample_server, eventually):
    passwords = [p.read_text() for p in (places.home / "secrets").iterdir()]
    assert len(passwords) == 6
    start("shop")
    process = Path(f"/proc/{writers.running(places, 'shop')}")
    seen = [process / "cmdline", process / "environ", places.log("shop"), places.ledger("shop")]
    seen += [places.names, sample_server.log]
    for path in seen:
        content = path.read_bytes().decode(errors="replace")
        assert not [p for p in passwords if p in content], path
    for path in places.home.rglob("*"):
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0 or path.suffix in (".lock", ".log"), path
