"""A followed database behind a pooler, and applications that write to it while it crosses."""

import threading
import time
import uuid
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import sql

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.crossing import (
    crossing,
    request,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.fence import access, fence
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import (
    address,
    applying,
    canary,
    link,
    replication_role,
)
from ansible_collections.landbridge.migration.plugins.module_utils.waiting import Deadline

WAIT_S = 60
PACE_S = 0.01  # between a writer's transactions

SCHEMA = """
CREATE TABLE ledger (id bigserial PRIMARY KEY, key uuid NOT NULL UNIQUE, worker int NOT NULL);
CREATE TABLE counted (worker int PRIMARY KEY, n bigint NOT NULL);
CREATE SEQUENCE "odd 'one" START 7 INCREMENT -3 MINVALUE -1000 MAXVALUE 7;
GRANT ALL ON ledger, counted TO {app};
GRANT ALL ON SEQUENCE ledger_id_seq, "odd 'one" TO {app}"""
COUNTED = "INSERT INTO counted SELECT n, 0 FROM generate_series(1, 64) n"
TABLES = [("public", "ledger"), ("public", "counted"), ("public", "t")]

WRITE = """
WITH written AS (INSERT INTO ledger (key, worker) VALUES (%s, %s) RETURNING 1)
UPDATE counted SET n = n + 1 WHERE worker = %s"""
KEYS = "SELECT key FROM ledger"
COUNTS = "SELECT worker, n FROM counted WHERE n > 0"
SEQUENCES = """SELECT last_value, is_called, (SELECT row(last_value, is_called)::text
  FROM public."odd 'one") FROM public.ledger_id_seq"""
SUBSCRIPTIONS = """
SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid
 WHERE datname = current_database()"""


@dataclass
class Followed:
    """A source that serves through a pooler, and a target that follows it and was never opened."""

    source: dict
    target: dict
    pooled: object
    keep: list = field(default_factory=list)

    def app(self, side):
        """The application's server dict of a side, past the pooler."""
        server = self.source if side == "source" else self.target
        return {**server, "user": self.pooled.app["user"], "password": self.pooled.app["password"]}

    def options(self, direction, **more):
        """The options of pg_cutover."""
        return {
            "source": self.source, "target": self.target, "direction": direction,
            "pooler": self.pooled.options, **more,
        }  # fmt: skip

    def cross(self, direction, **more):
        """Cross in this process; return what was done."""
        driver = self.pooled.driver()
        try:
            asked = request.Request(
                goal=request.GOALS[direction], source=self.source, target=self.target,
                pooler=driver, dbname="shop", **more,
            )  # fmt: skip
            return crossing.cross(asked)
        finally:
            driver.close()

    def rows(self, side, statement):
        server = self.source if side == "source" else self.target
        with psycopg.connect(**server, autocommit=True) as conn:
            return conn.execute(statement).fetchall()

    def accepts(self, side):
        """Whether the application may write to a side, past the pooler."""
        try:
            with psycopg.connect(**self.app(side), autocommit=True) as conn:
                conn.execute("CREATE TEMP TABLE x ()")
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture
def followed(source, target, pooled):
    """A pair at work: source open, target fenced as one that was never opened, link following."""
    app = sql.Identifier(pooled.app["user"])
    for server in (source, target):
        with psycopg.connect(**server, autocommit=True) as conn:
            conn.execute(sql.SQL(SCHEMA).format(app=app))
    with psycopg.connect(**source, autocommit=True) as conn:
        conn.execute("ALTER TABLE t REPLICA IDENTITY FULL")
    follow(source, target)
    with psycopg.connect(**source, autocommit=True) as conn:
        conn.execute(COUNTED)
    yield Followed(source, target, pooled)
    forget(source, target)


def follow(source, target, tables=TABLES):
    """Make the target follow the source, fenced; return the link."""
    with connect("source", source) as publisher, connect("target", target) as subscriber:
        like = access.read(publisher).before
        fence.converge_fenced(
            subscriber, [], Deadline(WAIT_S), check_mode=False, returning=like,
            note=access.NEVER_OPENED,
        )  # fmt: skip
        between = link.between(link.identify(publisher), link.identify(subscriber))
        link.publish(publisher, between, tables)
        login = replication_role.converge_present(publisher, between, source)
        with link.make_slot("source", source, between, Deadline(WAIT_S)):
            pass
        as_owner = applying.run_as_owner("target", subscriber, tables)
        way = address.seen(source, None, login)
        link.subscribe("target", subscriber, between, way, run_as_owner=as_owner)
        token = canary.beat(publisher, between)
        canary.wait_arrived(subscriber, between, token, Deadline(WAIT_S))
        return between


def forget(source, target):
    """Stop both directions, so that neither database is held by the other's slot."""
    for server in (source, target):
        with psycopg.connect(**server, autocommit=True) as conn:
            for (name,) in conn.execute(SUBSCRIPTIONS).fetchall():
                conn.execute(link.UNSUBSCRIBE.format(name=f'"{name}"').encode())


class Writer(threading.Thread):
    """An application: one session, one transaction after the other, each with a key of its own."""

    def __init__(self, number, connection, stop):
        super().__init__(daemon=True)
        self.number = number
        self.acknowledged = []
        self.failed = []
        self.longest_s = 0.0
        self._connection = connection
        self._over = stop

    def run(self):
        while not self._over.wait(PACE_S):
            key, began = uuid.uuid4(), time.monotonic()
            try:
                self._connection.execute(WRITE, [key, self.number, self.number])
            except psycopg.Error as exc:
                self.failed.append(str(exc))
                if self._connection.closed:
                    return
            else:
                self.acknowledged.append(key)
            self.longest_s = max(self.longest_s, time.monotonic() - began)


class Writers:
    """Applications that write through the pooler while a block runs."""

    def __init__(self, followed, count):
        self._stop = threading.Event()
        self.all = [Writer(n + 1, followed.pooled.connect(), self._stop) for n in range(count)]

    def __enter__(self):
        for writer in self.all:
            writer.start()
        return self

    def __exit__(self, *_exc):
        self._stop.set()
        for writer in self.all:
            writer.join()

    @property
    def acknowledged(self):
        return [key for writer in self.all for key in writer.acknowledged]

    @property
    def failed(self):
        return [said for writer in self.all for said in writer.failed]

    def more(self, eventually, count=20):
        """Wait until each has written on."""
        least = [len(writer.acknowledged) + count for writer in self.all]
        eventually(
            lambda: all(len(w.acknowledged) >= n for w, n in zip(self.all, least, strict=True)),
            timeout=30,
        )


@pytest.fixture
def writers(followed):
    """Return a function: a context of writers through the pooler."""
    return lambda count=8: Writers(followed, count)


@pytest.fixture
def require_whole(followed, eventually):
    """Return a function: both sides hold every acknowledged write once, and are alike."""

    def require(written, serves, follows=True):
        keys = [key for (key,) in followed.rows(serves, KEYS)]
        assert len(keys) == len(set(keys))
        assert set(written.acknowledged) <= set(keys), "a write was lost"
        assert dict(followed.rows(serves, COUNTS)) == {
            writer.number: len(writer.acknowledged) for writer in written.all
        }
        if follows:
            idle = "target" if serves == "source" else "source"
            eventually(lambda: len(followed.rows(idle, KEYS)) == len(keys), timeout=30)
            assert sorted(followed.rows(idle, KEYS)) == sorted((key,) for key in keys)

    return require
