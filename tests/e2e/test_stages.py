"""The stages of migrate.yml: in order, one by one, again, and back."""

import pytest

from .conftest import APP_PASSWORD, STAGES, connect, orders, refused

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.mark.long
def test_one_database_moves_alone_stage_by_stage_and_the_status_says_where_it_is(migration):
    for stage in STAGES:
        done = migration.run("--limit", "shop", "--tags", stage)
        assert done.returncode == 0, done.output
        if stage == "postgres":
            status = migration.run(playbook="playbooks/status.yml")
            assert status.returncode == 0, status.output
            assert status.changed == 0
            assert "shop: preflight, postgres reached; next is window" in status.said
    assert orders(migration.side("new")) == 1000
    with connect(migration.side("old", 'Legacy "Billing"')) as conn:
        assert conn.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database "
            "WHERE datname = current_database()"
        ).fetchone() == (None,)


def test_rolled_back_before_cutover_the_source_serves_as_it_was(migration):
    alone = ("--limit", "shop")
    assert migration.run(*alone, "--tags", "preflight,postgres,window,dataxfer").returncode == 0
    refused(migration.side("old"))
    back = migration.run(*alone, playbook="playbooks/rollback.yml")
    assert back.returncode == 0, back.output
    assert orders(migration.side("old")) == 1000
    forward = migration.run(*alone)
    assert forward.returncode == 0, forward.output
    assert orders(migration.side("new")) == 1000


def test_rolled_back_after_cutover_every_new_write_is_there(migration):
    assert migration.run("--limit", "shop").returncode == 0
    with connect(migration.side("new"), user="shop_app", password=APP_PASSWORD) as conn:
        conn.execute("INSERT INTO orders (customer, paid) VALUES (7, 7)")
        number = conn.execute("SELECT max(id) FROM orders").fetchone()[0]
    back = migration.run("--limit", "shop", playbook="playbooks/rollback.yml")
    assert back.returncode == 0, back.output
    assert orders(migration.side("old")) == 1001
    with connect(migration.side("old"), user="shop_app", password=APP_PASSWORD) as conn:
        conn.execute("INSERT INTO orders (customer, paid) VALUES (8, 8)")
        assert conn.execute("SELECT max(id) FROM orders").fetchone()[0] == number + 1
    again = migration.run("--limit", "shop")
    assert again.returncode == 0, again.output
    assert orders(migration.side("new")) == 1002


def test_a_rehearsal_leaves_both_sides_as_they_were_and_keeps_its_timings(migration):
    done = migration.run("--limit", "shop", playbook="playbooks/rehearse.yml")
    assert done.returncode == 0, done.output
    assert orders(migration.side("old")) == 1000
    with connect(migration.target, dbname="postgres") as conn:
        names = {name for (name,) in conn.execute("SELECT datname FROM pg_database")}
    assert not any("rehearsal" in name for name in names)
    book = migration.run(playbook="playbooks/runbook.yml")
    assert book.returncode == 0, book.output
    text = (migration.home / "runbook.md").read_text()
    assert "dataxfer" in text
    assert "rehearsal" in text
