"""Live mode: the source is followed while it is written to, crossed from, and crossed back to."""

import threading

import psycopg
import pytest

from .conftest import APP_PASSWORD, connect

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture
def live(migration):
    """A migration of one database, in live mode and without a pooler."""
    del migration.databases["legacy"]
    migration.variables["landbridge_mode"] = "live"
    return migration


class Shopping(threading.Thread):
    """An application that writes wherever its database lets it in, and remembers what it wrote."""

    def __init__(self, *sides):
        super().__init__(daemon=True)
        self._sides, self._over = sides, threading.Event()
        self.written, self.places, self.problems = [], [], []

    def run(self):
        at = 0
        conn = None
        while not self._over.is_set():
            try:
                conn = conn or connect(self._sides[at], user="shop_app", password=APP_PASSWORD)
                insert = "INSERT INTO orders (customer, paid) VALUES (7, 7) RETURNING id"
                ((number,),) = conn.execute(insert)
                self.written.append(number)
                self.places.append(at)
            except psycopg.Error as exc:
                self.problems.append(exc)
                if conn:
                    conn.close()
                at, conn = 1 - at, None
        if conn:
            conn.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self._over.set()
        self.join()


def orders(server):
    with connect(server, user="shop_app", password=APP_PASSWORD) as conn:
        return [number for (number,) in conn.execute("SELECT id FROM orders WHERE id > 1000")]


def test_a_database_crosses_under_load_and_comes_back_and_no_write_is_lost(live):
    with Shopping(live.side("old"), live.side("new")) as shopping:
        there = live.run()
        assert there.returncode == 0, there.output
        assert shopping.places[-1] == 1
    assert sorted(orders(live.side("new"))) == sorted(shopping.written)
    assert "Live mode has no window" not in there.said

    again = live.run()
    assert again.returncode == 0, again.output
    assert again.changed == 0, again.output
    status = live.run(playbook="playbooks/status.yml")
    assert "nothing is left but finalize" in status.said

    with Shopping(live.side("new"), live.side("old")) as shopping_back:
        back = live.run(playbook="playbooks/rollback.yml")
        assert back.returncode == 0, back.output
        assert shopping_back.places[-1] == 1
    every = shopping.written + shopping_back.written
    assert sorted(orders(live.side("old"))) == sorted(every)
    assert live.run(playbook="playbooks/rollback.yml").changed == 0

    forward = live.run()
    assert forward.returncode == 0, forward.output
    assert sorted(orders(live.side("new"))) == sorted(every)

    done = live.run(playbook="playbooks/finalize.yml")
    assert done.returncode == 0, done.output
    for side in ("old", "new"):
        with connect(live.side(side)) as conn:
            ours = "SELECT count(*) FROM pg_namespace WHERE nspname = 'landbridge'"
            assert conn.execute(ours).fetchone() == (0,), side


def test_each_database_may_have_a_mode_of_its_own(migration):
    migration.variables["landbridge_mode"] = "live"
    migration.databases["legacy"]["landbridge_mode"] = "window"
    done = migration.run()
    assert done.returncode == 0, done.output
    found = {each["host"]: each for each in migration.report["databases"]}
    assert found["shop"]["crossing"]["way_back"] == "following"
    assert found["legacy"]["crossing"] is None
    assert found["legacy"]["window_s"] > found["shop"]["window_s"]
    with connect(migration.side("new", 'Legacy "Billing"')) as conn:
        assert conn.execute('SELECT count(*) FROM "Odd ""name"."a%b"').fetchone() == (3,)


def test_a_rehearsal_and_following_that_is_ended_leave_nothing_on_the_source(live):
    ours = """SELECT (SELECT count(*) FROM pg_replication_slots),
      (SELECT count(*) FROM pg_publication),
      (SELECT count(*) FROM pg_namespace WHERE nspname = 'landbridge')"""

    def left():
        with connect(live.side("old")) as conn:
            return conn.execute(ours).fetchone()

    rehearsed = live.run(playbook="playbooks/rehearse.yml")
    assert rehearsed.returncode == 0, rehearsed.output
    assert left() == (0, 0, 0)
    followed = live.run("--tags", "preflight,postgres,dataxfer")
    assert followed.returncode == 0, followed.output
    assert left() == (1, 1, 1)
    ended = live.run("-e", "rollback_following=end", playbook="playbooks/rollback.yml")
    assert ended.returncode == 0, ended.output
    assert left() == (0, 0, 0)
    with connect(live.target, dbname="postgres") as conn:
        assert conn.execute("SELECT FROM pg_database WHERE datname ~ 'shop'").fetchall() == []
