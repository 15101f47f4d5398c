"""Links between real servers: made, followed, looked at and dropped by a managed admin."""

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from ansible_collections.landbridge.migration.plugins.module_utils import errors
from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import (
    address,
    applying,
    canary,
    link,
    observed,
    replication_role,
)
from ansible_collections.landbridge.migration.plugins.module_utils.waiting import Deadline

pytestmark = pytest.mark.postgres

TABLE = 'CREATE TABLE public."it""s" (id int PRIMARY KEY, word text)'
TABLES = [("public", 'it"s')]
ROWS = 'SELECT * FROM public."it""s" ORDER BY 1'


@pytest.fixture
def pair(source, target):
    """Both sides' connections, with one table each."""
    with connect("source", source) as publisher, connect("target", target) as subscriber:
        for conn in (publisher, subscriber):
            conn.execute(TABLE)
        yield publisher, subscriber


@pytest.fixture
def between(pair):
    return link.between(*map(link.identify, pair))


def follow(pair, between, source, tables=TABLES):
    """Make the whole link; return the login that the subscription has."""
    publisher, subscriber = pair
    link.publish(publisher, between, tables)
    login = replication_role.converge_present(publisher, between, source)
    with link.make_slot("source", source, between, Deadline(30)) as slot:
        assert slot.snapshot
    as_owner = applying.run_as_owner("target", subscriber, tables)
    way = address.seen(source, None, login)
    link.subscribe("target", subscriber, between, way, run_as_owner=as_owner)
    return login


def drop(pair, between):
    publisher, subscriber = pair
    link.unsubscribe(subscriber, between)
    link.unpublish(publisher, between)
    replication_role.converge_absent(publisher, between)


@pytest.mark.parametrize(
    "major", [pytest.param(m, marks=pytest.mark.source_major(m)) for m in (17, 15)]
)
def test_what_is_written_arrives_before_the_canary(pair, between, source, major):
    publisher, subscriber = pair
    login = follow(pair, between, source)
    assert login.own is (major == 17)
    (state,) = observed.read(publisher, subscriber)
    assert state.following

    publisher.execute("""INSERT INTO public."it""s" SELECT n, 'x' FROM generate_series(1, 500) n""")
    for _again in range(2):
        token = canary.beat(publisher, between)
        canary.wait_arrived(subscriber, between, token, Deadline(30))
    assert subscriber.execute(ROWS).fetchall() == publisher.execute(ROWS).fetchall()

    drop(pair, between)
    assert observed.read(publisher, subscriber) == []
    for conn in pair:
        assert conn.execute("SELECT to_regclass('landbridge.' || %s)", [between.canary]).fetchone()[
            0
        ] is None  # fmt: skip


def test_a_canary_that_does_not_come_is_told_and_tells_nothing_else(pair, between, source):
    publisher, subscriber = pair
    follow(pair, between, source)
    link.disable(subscriber, between)
    with pytest.raises(errors.DeadlineError, match=r"within 0\.2 s"):
        canary.wait_arrived(subscriber, between, canary.beat(publisher, between), Deadline(0.2))
    link.enable(subscriber, between)
    canary.wait_arrived(subscriber, between, canary.beat(publisher, between), Deadline(30))
    drop(pair, between)


def test_each_end_is_made_and_dropped_again_from_any_state(pair, between, source):
    publisher, subscriber = pair
    drop(pair, between)
    link.publish(publisher, between, TABLES)
    link.publish(publisher, between, TABLES)
    link.reserve(publisher, between)
    (state,) = observed.read(publisher, subscriber)
    assert not state.following
    assert state.slot is not None
    drop(pair, between)
    follow(pair, between, source)
    drop(pair, between)
    drop(pair, between)


def test_the_password_is_nowhere_but_in_the_subscription(
    between, source, target, source_server, target_server, as_superuser, pair
):
    for server in (source, target):
        with as_superuser(server) as conn:
            conn.execute(f"ALTER DATABASE {server['dbname']} SET log_statement = 'ddl'")
    with connect("source", source) as publisher, connect("target", target) as subscriber:
        follow((publisher, subscriber), between, source)
    with as_superuser(target) as conn:
        ((conninfo,),) = conn.execute("SELECT subconninfo FROM pg_subscription").fetchall()
    password = psycopg.conninfo.conninfo_to_dict(conninfo)["password"]
    assert "CREATE ROLE" in source_server.log.read_text()
    for server in (source_server, target_server):
        assert password not in server.log.read_text()
    drop(pair, between)


def test_a_publisher_out_of_reach_is_named_and_no_password_shown(
    pair, between, source, target_server
):
    publisher, subscriber = pair
    link.publish(publisher, between, TABLES)
    login = replication_role.converge_present(publisher, between, source)
    way = {**address.seen(source, None, login), "port": 1}
    with pytest.raises(errors.PreconditionError, match=r"does not reach .*port 1") as failed:
        link.subscribe("target", subscriber, between, way, run_as_owner=False)
    assert login.password not in str(failed.value)
    assert login.password not in target_server.log.read_text()
    drop(pair, between)


def test_a_role_that_owns_no_table_is_told_which_to_be_granted(pair, target, as_superuser):
    _publisher, subscriber = pair
    with as_superuser(target) as conn:
        conn.execute(f"CREATE ROLE other_{target['dbname']}")
        conn.execute(f'ALTER TABLE public."it""s" OWNER TO other_{target["dbname"]}')
        with pytest.raises(errors.PreconditionError, match="as its owner other_"):
            applying.run_as_owner("target", subscriber, TABLES)
        conn.execute(f'GRANT ALL ON public."it""s" TO {target["user"]}')
        assert applying.run_as_owner("target", subscriber, TABLES) is True


@pytest.mark.source_major(15)
def test_before_16_a_managed_role_may_not_subscribe(pair):
    source_conn, target_conn = pair
    with pytest.raises(errors.PreconditionError, match="may not subscribe"):
        applying.require_subscriber("source", source_conn)
    applying.require_subscriber("target", target_conn)


def test_a_slot_waits_for_open_transactions_no_longer_than_told(pair, between, source):
    publisher, _subscriber = pair
    link.publish(publisher, between, TABLES)
    with psycopg.connect(make_conninfo(**source)) as writer:
        writer.execute("""INSERT INTO public."it""s" VALUES (1)""")
        with (
            pytest.raises(errors.DeadlineError, match="transaction is still open"),
            link.make_slot("source", source, between, Deadline(0.5)),
        ):
            pass
    assert observed.read_side(publisher).slots == {}
