"""The driver against a real PgBouncer: who waits, who goes on, and where to."""

import socket
import threading
from contextlib import closing, suppress

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import (
    DeadlineError,
    PostgresError,
    PreconditionError,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pooler import ini, pgbouncer

pytestmark = pytest.mark.postgres

LIMIT_S = 20  # of a pause that is to succeed


@pytest.fixture
def pooler(pooled):
    with closing(pooled.driver()) as made:
        yield made


def port_of(conn):
    """Return the port of the server that a transaction of this client comes to."""
    return conn.execute("SELECT inet_server_port()").fetchone()[0]


def connect_in_vain(pooled):
    with suppress(psycopg.Error):  # a client's login waits for the server's
        pooled.connect()


class Asking(threading.Thread):
    """A client whose statement may have to wait; `answer` raises what it met."""

    def __init__(self, conn, statement):
        super().__init__(daemon=True)
        self._conn, self._statement = conn, statement
        self._answer = None
        self.start()

    def run(self):
        try:
            self._answer = self._conn.execute(self._statement).fetchone()
        except psycopg.Error as exc:
            self._answer = exc

    def answer(self):
        self.join(LIMIT_S)
        assert not self.is_alive()
        if isinstance(self._answer, psycopg.Error):
            raise self._answer
        return self._answer


def test_clients_wait_and_go_on_at_the_target_without_an_error(pooled, pooler, eventually):
    clients = [pooled.connect() for _ in range(6)]
    assert {port_of(conn) for conn in clients} == {pooled.source.port}
    pooler.prepare("shop", *pooled.target)
    pooler.pause("shop", LIMIT_S)
    asking = [Asking(conn, "SELECT inet_server_port()") for conn in clients]
    eventually(lambda: pooled.waiting() == len(clients))
    assert pooler.read("shop").paused
    pooler.switch("shop", *pooled.target)
    assert pooler.read("shop").leads_to(*pooled.target)
    assert pooled.waiting() == len(clients)
    pooler.resume("shop")
    assert {each.answer()[0] for each in asking} == {pooled.target.port}
    assert not pooler.read("shop").paused


def test_a_pause_waits_for_a_transaction_that_ends_in_time(pooled, pooler, eventually):
    writer = pooled.connect()
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t VALUES ('in time')")
    pausing = threading.Thread(target=pooler.pause, args=("shop", LIMIT_S), daemon=True)
    pausing.start()
    with closing(pooled.driver()) as looking:
        eventually(lambda: looking.read("shop").paused)
    assert pausing.is_alive()
    writer.execute("COMMIT")
    pausing.join(LIMIT_S)
    assert not pausing.is_alive()
    assert pooler.read("shop").paused


def test_a_pause_that_runs_into_its_limit_names_the_transaction_and_lets_all_go_on(pooled, pooler):
    writer = pooled.connect(application_name="nightly report")
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t VALUES ('long')")
    with pytest.raises(DeadlineError, match="nightly report") as raised:
        pooler.pause("shop", 0.3)
    assert raised.value.retryable
    [holder] = raised.value.result["holders"]
    assert holder["user"] == pooled.app["user"]
    assert holder["pid"] == writer.execute("SELECT pg_backend_pid()").fetchone()[0]
    assert holder["client"]
    assert not pooler.read("shop").paused
    assert port_of(pooled.connect()) == pooled.source.port
    writer.execute("COMMIT")
    assert writer.execute("SELECT v FROM t").fetchone() == ("long",)
    pooler.pause("shop", LIMIT_S)


def test_each_verb_said_again_changes_nothing(pooled, pooler):
    for _ in range(2):
        pooler.resume("shop")
    for _ in range(2):
        pooler.pause("shop", LIMIT_S)
        assert pooler.read("shop").paused
    for _ in range(2):
        pooler.switch("shop", *pooled.target)
    text = pooled.bouncer.ini.read_text()
    for _ in range(2):
        pooler.resume("shop")
    assert pooler.read("shop").leads_to(*pooled.target)
    assert pooled.bouncer.ini.read_text() == text
    assert port_of(pooled.connect()) == pooled.target.port


def test_other_databases_keep_their_route_and_their_transactions(pooled, pooler):
    other = pooled.connect("other")
    other.execute("BEGIN")
    pid = other.execute("SELECT pg_backend_pid()").fetchone()
    pooler.pause("shop", LIMIT_S)
    pooler.switch("shop", *pooled.target)
    pooler.resume("shop")
    pooler.settle("shop")
    assert other.execute("SELECT pg_backend_pid()").fetchone() == pid
    other.execute("COMMIT")
    assert port_of(other) == pooled.source.port
    assert pooler.read("other").leads_to(*pooled.source)


def test_crossings_through_one_pooler_take_turns(pooled, pooler):
    pooler.pause("shop", LIMIT_S)
    with closing(pooled.driver(turn_wait_s=0.2)) as second:
        with pytest.raises(DeadlineError, match="another crossing at the pooler"):
            second.pause("other", LIMIT_S)
        assert not second.read("other").paused
        pooler.resume("shop")
        pooler.settle("shop")
        second.pause("other", LIMIT_S)


def test_a_pause_of_another_database_that_takes_long_does_not_hold_ours(pooled, pooler, eventually):
    other = pooled.connect("other")
    other.execute("BEGIN")
    other.execute("SELECT 1")
    ours = pooled.connect()
    port_of(ours)
    with closing(pgbouncer.PgBouncer(pooled.console, None)) as second:  # takes no turns
        outcome = []

        def pause_other():
            second.pause("other", LIMIT_S)
            outcome.append("paused")

        pausing = threading.Thread(target=pause_other, daemon=True)
        pausing.start()
        eventually(lambda: pooler.read("other").paused)
        pooler.pause("shop", LIMIT_S)
        assert pooler.read("shop").paused
        assert outcome == []
        pooler.switch("shop", *pooled.target)
        pooler.resume("shop")
        assert port_of(ours) == pooled.target.port
        other.execute("COMMIT")
        pausing.join(LIMIT_S)
        assert outcome == ["paused"]


def test_no_pause_begins_while_a_connection_to_the_server_is_being_made(pooled, pooler, eventually):
    with socket.create_server((pooled.bouncer.configuration.host, 0)) as deaf:
        host, port = deaf.getsockname()
        pooler.switch("shop", host, port, "shop")
        trying = threading.Thread(target=connect_in_vain, args=(pooled,), daemon=True)
        trying.start()
        eventually(lambda: [p for p in pooled.ask("SHOW POOLS") if p["sv_login"]])
        with pytest.raises(DeadlineError, match="nothing was paused"):
            pooler.pause("shop", 0.2)
        assert not pooler.read("shop").paused


def test_a_pause_that_its_process_did_not_live_to_end_is_found_by_the_next(pooled, eventually):
    client = pooled.connect()
    first = pooled.driver()
    first.pause("shop", LIMIT_S)
    first.close()
    waiting = Asking(client, "SELECT inet_server_port()")
    eventually(lambda: pooled.waiting() == 1)
    with closing(pooled.driver()) as second:
        assert second.read("shop").paused
        second.pause("shop", LIMIT_S)
        second.resume("shop")
    assert waiting.answer() == (pooled.source.port,)


def test_a_pooler_that_restarted_is_noticed_once_and_then_read_as_it_is(pooled, pooler):
    pooler.prepare("shop", *pooled.target)
    pooler.pause("shop", LIMIT_S)
    pooled.bouncer.stop()
    with pytest.raises(PostgresError) as raised:
        pooler.switch("shop", *pooled.target)
    assert raised.value.retryable
    with pytest.raises(PostgresError):
        pooler.read("shop")
    pooled.bouncer.start()
    found = pooler.read("shop")
    assert not found.paused  # it has forgotten, and the file was changed before it was asked
    assert found.leads_to(*pooled.target)
    pooler.pause("shop", LIMIT_S)
    pooler.switch("shop", *pooled.source)
    pooler.resume("shop")
    assert port_of(pooled.connect()) == pooled.source.port


def test_a_name_that_the_pooler_does_not_know_is_told_with_those_it_knows(pooler):
    for verb in (pooler.read, pooler.resume, lambda name: pooler.pause(name, 1)):
        with pytest.raises(PreconditionError, match="no database nowhere; it knows other"):
            verb("nowhere")
    with pytest.raises(PreconditionError, match="no line for database nowhere"):
        pooler.switch("nowhere", "127.0.0.1", 1, "nowhere")


def test_settings_of_the_local_clouds_pooler_suit_a_crossing(pooled, pooler):
    assert pooler.findings("shop", 10) == []
    changed = pooled.bouncer.ini.read_text()
    pooled.bouncer.ini.write_text(ini.edited(changed, "shop", ini.Target(*pooled.target)))
    assert [each.code for each in pooler.findings("shop", 10)] == ["pooler_file_differs"]


def test_the_whole_pooler_paused_by_somebody_is_told_and_left_alone(pooled, pooler):
    pooled.tell("PAUSE")
    with pytest.raises(PostgresError, match="already suspended/paused"):
        pooler.pause("shop", 1)
    pooled.tell("RESUME")
    pooler.pause("shop", LIMIT_S)
