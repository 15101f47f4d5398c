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
def writing():
    """Return a function that starts a session writing to a server dict's database until it ends.

    It is a context manager whose value has `count`, the writes so far.
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
def mixed_open(mixed, source, as_superuser):
    """The mixed pair, its source fit to be followed."""
    with as_superuser(source) as conn:
        conn.execute(KEYED)
    return {**mixed, "lag_s": 10.0, "timeout": 120.0}


FEW = """
CREATE TABLE public.parents (id int PRIMARY KEY, word text);
CREATE TABLE public.children (parent int REFERENCES public.parents, word text);
CREATE TABLE public.log (at timestamptz DEFAULT now(), document jsonb);
CREATE UNLOGGED TABLE public.fleeting (id int);
CREATE SEQUENCE public.numbers;
INSERT INTO public.parents SELECT n, 'p' || n FROM generate_series(1, 500) n;
INSERT INTO public.children SELECT n, 'c' || n FROM generate_series(1, 500) n;
INSERT INTO public.fleeting VALUES (1);
SELECT lo_from_bytea(70001, 'large');
"""


@pytest.fixture
def few(source, target, absent):
    """Options of pg_follow for a pair whose source holds little."""
    with psycopg.connect(**source, autocommit=True) as conn:
        conn.execute(FEW)
    pair = {"source": source, "target": target, "lag_s": 20.0, "timeout": 60.0}
    yield pair
    absent(pair)


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
        sides = {side: pair[side] for side in ("source", "target")}
        return run_module(pg_follow, **sides, state="absent")

    return remove
