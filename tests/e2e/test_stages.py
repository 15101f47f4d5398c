"""The stages of migrate.yml: in order, one by one, again, and back."""

import psycopg
import pytest

from .conftest import APP_PASSWORD, STAGES, connect

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def orders(server):
    with connect(server, user="shop_app", password=APP_PASSWORD) as conn:
        return conn.execute("SELECT count(*) FROM orders").fetchone()[0]


def refused(server):
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        connect(server, user="shop_app", password=APP_PASSWORD)


def test_two_databases_move_and_a_second_run_changes_nothing(migration):
    first = migration.run()
    assert first.returncode == 0, first.output
    assert orders(migration.side("new")) == 1000
    refused(migration.side("old"))
    with connect(migration.side("new", 'Legacy "Billing"')) as conn:
        assert conn.execute('SELECT count(*) FROM "Odd ""name"."a%b"').fetchone() == (3,)

    second = migration.run()
    assert second.returncode == 0, second.output
    assert second.changed == 0, second.output
    for stage in STAGES:
        assert f"{stage} was reached" in second.said, stage


def test_stages_run_one_by_one_each_on_the_one_before(migration):
    for stage in STAGES:
        done = migration.run("--tags", stage)
        assert done.returncode == 0, done.output
    assert orders(migration.side("new")) == 1000


def test_one_database_moves_alone(migration):
    done = migration.run("--limit", "shop")
    assert done.returncode == 0, done.output
    assert orders(migration.side("new")) == 1000
    with connect(migration.side("old", 'Legacy "Billing"')) as conn:
        assert conn.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database "
            "WHERE datname = current_database()"
        ).fetchone() == (None,)


def test_check_mode_on_a_first_run_changes_nothing(migration):
    done = migration.run("--check", "--diff")
    assert done.returncode == 0, done.output
    assert orders(migration.side("old")) == 1000
    with connect(migration.target, dbname="postgres") as conn:
        names = {name for (name,) in conn.execute("SELECT datname FROM pg_database")}
    assert not names & {"shop", "landbridge"}


def test_rolled_back_before_cutover_the_source_serves_as_it_was(migration):
    assert migration.run("--tags", "preflight,postgres,window,dataxfer").returncode == 0
    refused(migration.side("old"))
    back = migration.run(playbook="playbooks/rollback.yml")
    assert back.returncode == 0, back.output
    assert orders(migration.side("old")) == 1000
    forward = migration.run()
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


def test_what_led_to_cutover_is_not_done_again_after_it(migration):
    migration.variables["landbridge_on_failure"] = "rollback"
    assert migration.run("--limit", "shop").returncode == 0
    with connect(migration.side("new"), user="shop_app", password=APP_PASSWORD) as conn:
        conn.execute("INSERT INTO orders (customer, paid) VALUES (7, 7)")
    again = migration.run("--limit", "shop", "-e", "landbridge_redo=verify")
    assert again.returncode != 0
    assert "verify on shop is not done again after cutover: nothing was done" in again.said
    assert orders(migration.side("new")) == 1001
    refused(migration.side("old"))


def test_after_finalize_there_is_no_way_back(migration):
    assert migration.run("--limit", "shop").returncode == 0
    done = migration.run("--limit", "shop", playbook="playbooks/finalize.yml")
    assert done.returncode == 0, done.output
    back = migration.run("--limit", "shop", playbook="playbooks/rollback.yml")
    assert back.returncode != 0
    assert "shop was finalized" in back.said
    refused(migration.side("old"))


def test_a_rehearsal_leaves_both_sides_as_they_were_and_keeps_its_timings(migration):
    done = migration.run(playbook="playbooks/rehearse.yml")
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


def test_the_status_says_what_is_reached_and_changes_nothing(migration):
    assert migration.run("--tags", "preflight,postgres").returncode == 0
    status = migration.run(playbook="playbooks/status.yml")
    assert status.returncode == 0, status.output
    assert status.changed == 0
    assert "shop: preflight, postgres reached; next is window" in status.said
