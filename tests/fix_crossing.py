"""A followed database behind a pooler, and applications that write to it while it crosses."""

import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest import mock

import psycopg
import pytest
from psycopg import sql

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.crossing import (
    crossing,
    request,
    statements,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.crossing.stall import Stall
from ansible_collections.landbridge.migration.plugins.module_utils.pg.fence import access, fence
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import (
    address,
    applying,
    canary,
    link,
    replication_role,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pooler import pgbouncer
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

    def hooked(self, direction):
        """What hooked_cross is asked for, beside the hook; it can be written as JSON."""
        return {
            "source": self.source, "target": self.target, "direction": direction,
            "console": self.pooled.console, "ini": str(self.pooled.bouncer.ini),
        }  # fmt: skip

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


BEFORE = {"pause": "ready", "switch": "opened", "resume": "switched", "settle": "resumed"}


class Hooked:
    """A pooler that says where a crossing is before it does what it is told."""

    def __init__(self, pooler, hook):
        self._pooler = pooler
        self._hook = hook

    def __getattr__(self, verb):
        do = getattr(self._pooler, verb)

        def said(*args):
            if point := BEFORE.get(verb):
                self._hook(point)
            done = do(*args)
            if verb == "pause":
                self._hook("paused")
            return done

        return said


def hooked_cross(source, target, direction, console, ini, hook):
    """Cross, calling ``hook`` at each point: what a test does to it there is the hook's."""

    def comparing(*_args):
        def compare(_budget_ms):
            hook("drained")
            return {}

        return compare

    driver = pgbouncer.PgBouncer(console, ini)
    asked = request.Request(
        goal=request.GOALS[direction], source=source, target=target,
        pooler=Hooked(driver, hook), dbname="shop", comparing=comparing,
        limits=request.Limits(delta_ms=1),
    )  # fmt: skip
    try:
        with crossing.terminable(), crossing.sessions(asked) as pair, in_midst(hook):
            return Watched(asked, *pair, hook).run()
    finally:
        driver.close()


@contextmanager
def in_midst(hook):
    """Call ``hook`` also where a step is half done."""
    barrier, reserve, unpublish = Stall._barrier, link.reserve, link.unpublish

    def fenced_first(self):
        self.giver.run(statements.fenced(self.prepared.fence, self.prepared.kept, WAIT_S))
        hook("fenced")
        barrier(self)

    def made_half(*args):
        reserve(*args)
        hook("half made")

    def dropped_half(*args):
        hook("half dropped")
        unpublish(*args)

    with (
        mock.patch.object(Stall, "_barrier", fenced_first),
        mock.patch.object(link, "reserve", made_half),
        mock.patch.object(link, "unpublish", dropped_half),
    ):
        yield


class Watched(crossing.Crossing):
    """A crossing that says what it has done after the stall."""

    def __init__(self, asked, source, target, hook):
        super().__init__(asked, source, target)
        self._hook = hook

    def _do(self, step, world):
        goes_on = super()._do(step, world)
        self._hook(f"after {step.do.value}")
        return goes_on


class Direct(threading.Thread):
    """An application that knows no pooler and writes to one side whenever that lets it in."""

    def __init__(self, followed, side, number, stop):
        super().__init__(daemon=True)
        self.side = side
        self.number = number
        self.accepted = []  # key, when it was begun and when it was acknowledged
        self._server = {**followed.app(side), "connect_timeout": 2}
        self._over = stop

    def run(self):
        while not self._over.wait(PACE_S):
            try:
                with psycopg.connect(**self._server, autocommit=True) as conn:
                    while not self._over.wait(PACE_S):
                        self._write(conn)
            except psycopg.Error:
                continue

    def _write(self, conn):
        key, began = uuid.uuid4(), time.monotonic()
        conn.execute("INSERT INTO ledger (key, worker) VALUES (%s, %s)", [key, self.number])
        self.accepted.append((key, began, time.monotonic()))


class NeverBoth:
    """Writes past the pooler to both sides all the time, and the proof that one took them."""

    def __init__(self, followed):
        self._stop = threading.Event()
        self.all = [
            Direct(followed, side, 100 + n, self._stop)
            for n, side in enumerate(["source", "target"] * 2)
        ]

    def __enter__(self):
        for each in self.all:
            each.start()
        return self

    def __exit__(self, *_exc):
        self._stop.set()
        for each in self.all:
            each.join()

    @property
    def acknowledged(self):
        return [key for each in self.all for key, *_times in each.accepted]

    def times(self, side):
        accepted = (row for each in self.all if each.side == side for row in each.accepted)
        return [(began, ended) for _key, began, ended in accepted]

    def require(self, changes):
        """See that writes went from one side to the other no more often than crossings did.

        What one side acknowledged before a write to the other was even begun came before it.
        """
        seen, now, at = 0, "source", 0.0
        while True:
            now = "target" if now == "source" else "source"
            later = [end for begin, end in self.times(now) if begin > at]
            if not later:
                break
            seen, at = seen + 1, min(later)
        assert seen <= changes, f"writes changed sides {seen} times in {changes} crossings"


@pytest.fixture
def never_both(followed):
    return NeverBoth(followed)


@pytest.fixture
def require_whole(followed, eventually):
    """Return a function: both sides hold every acknowledged write once, and are alike."""

    def require(written, serves, follows=True, direct=None, clean=True):
        keys = [key for (key,) in followed.rows(serves, KEYS)]
        acknowledged = written.acknowledged + (direct.acknowledged if direct else [])
        assert len(keys) == len(set(keys))
        assert set(acknowledged) <= set(keys), "a write was lost"
        counts = dict(followed.rows(serves, COUNTS))
        for writer in written.all:
            wrote, counted = len(writer.acknowledged), counts[writer.number]
            # Of a write that failed at its commit nobody knows whether it was made.
            assert wrote <= counted <= wrote + (0 if clean else len(writer.failed))
        if follows:
            idle = "target" if serves == "source" else "source"
            eventually(lambda: len(followed.rows(idle, KEYS)) == len(keys), timeout=30)
            assert sorted(followed.rows(idle, KEYS)) == sorted((key,) for key in keys)

    return require
