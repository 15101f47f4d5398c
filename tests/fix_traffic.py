"""What tests of following share: writers that never stop, and databases compared from outside."""

import threading

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.modules import pg_follow

# One of each kind of change, on tables of each kind of identity; each statement is a transaction.
WRITES = """
INSERT INTO shop.customers (name, code) VALUES ('new ' || {n}, 'n' || {n});
UPDATE shop.customers SET feeling = 'sad' WHERE id = 10 + 5 * ({n} % 20000);
UPDATE shop.orders SET note = note || '.', total = 5 WHERE id = {n} % 30000 + 1;
DELETE FROM shop.orders WHERE id = 30000 - {n};
INSERT INTO shop.events VALUES ({n} + 1000000, '2023-06-01'::date + {n} % 700, chr(97 + {n} % 4));
UPDATE shop.events SET at = at + 300 WHERE id = 5000 + {n} % 20000;
UPDATE shop.cars SET wheels = -wheels WHERE doors = {n} - 12;
INSERT INTO shop.cars VALUES ({n}, {n});
UPDATE shop.dropped SET c = c || '.' WHERE a = 1;
UPDATE "Odd ""name%"."x; Type: FUNCTION; Schema: y; Owner: z" SET body = 'w' WHERE "a:b" = {n};
UPDATE shop.toasted SET id = id + 100000 WHERE id = {n} % 400 + 1;
INSERT INTO shop.values (id, f, empty) VALUES ({n}, '-0', 'x');
SELECT nextval('shop.far');
"""

SETTLED = """
SELECT coalesce(bool_and(confirmed_flush_lsn >= %s), false)
  FROM pg_replication_slots WHERE database = current_database()"""

# A key for the one table whose whole rows cannot be compared.
KEYED = "ALTER TABLE shop.values ADD PRIMARY KEY (id)"


@pytest.fixture
<<<<<<<< HEAD:tests/fix_follow.py
def writing():
    """Return a function that starts a session writing to a server dict's database until it ends.

    It is a context manager whose value has `count`, the writes so far.
========
def linked(source, target):
    """Return a function: make the target follow tables, which are alike on both sides."""
    with ExitStack() as stack:
        publisher = stack.enter_context(connect("source", source))
        subscriber = stack.enter_context(connect("target", target))
        between = link.between(link.identify(publisher), link.identify(subscriber))

        def start(tables):
            link.publish(publisher, between, tables)
            login = replication_role.converge_present(publisher, between, source)
            with link.make_slot("source", source, between, Deadline(WAIT_S)):
                pass
            as_owner = applying.run_as_owner("target", subscriber, tables)
            way = address.seen(source, None, login)
            link.subscribe("target", subscriber, between, way, run_as_owner=as_owner)
            token = canary.beat(publisher, between)
            canary.wait_arrived(subscriber, between, token, Deadline(WAIT_S))
            stack.callback(replication_role.converge_absent, publisher, between)
            stack.callback(link.unpublish, publisher, between)
            stack.callback(link.unsubscribe, subscriber, between)
            return between

        yield start


@pytest.fixture
def traffic(source):
    """Return a context manager: statements written again and again while its block runs.

    Each is a function of a number that grows, in a thread and a session of its own; ``server`` is
    the source if not given.
>>>>>>>> verify:tests/fix_traffic.py
    """
    return Writer


class Writer(threading.Thread):
    def __init__(self, server, statements=WRITES):
        super().__init__(daemon=True)
        self._conn = psycopg.connect(**server, autocommit=True)
        self._texts = [text for text in statements.split(";\n") if text.strip()]
        self._over = threading.Event()
        self.count = 0
        self.failed = None

    def run(self):
        try:
            while not self._over.is_set():
                text = self._texts[self.count % len(self._texts)]
                self._conn.execute(text.replace("{n}", str(self.count)).encode())
                self.count += 1
        except psycopg.Error as exc:
            self.failed = exc

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self.join()
        self._conn.close()
        assert exc[0] or self.failed is None, self.failed


@pytest.fixture
def followed(mixed, source, as_superuser):
    """The mixed pair, its source fit to be followed."""
    with as_superuser(source) as conn:
        conn.execute(KEYED)
    return {**mixed, "lag_s": 10.0, "timeout": 120.0}


@pytest.fixture
def arrived(as_superuser, eventually):
    """Return a function that waits until a target has everything that its source's log has."""

    def wait(source):
        with as_superuser(source) as conn:
            (lsn,) = conn.execute("SELECT pg_current_wal_lsn()").fetchone()

            def confirmed():
                # something to confirm, on a server where nothing else goes on
                conn.execute("SELECT pg_logical_emit_message(true, 'landbridge test', '')")
                return conn.execute(SETTLED, [lsn]).fetchone()[0]

            eventually(confirmed, timeout=60)

    return wait


@pytest.fixture
def absent(run_module):
    """Return a function that removes all that follows, so that databases can be dropped."""

    def remove(pair):
        return run_module(pg_follow, **{**pair, "state": "absent"})

    return remove
