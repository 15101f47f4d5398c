"""What a user who got something wrong is told, and that nothing was changed by it."""

import psycopg
import pytest

from .conftest import APP_PASSWORD, connect, orders, says

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def test_a_target_that_holds_other_tables_is_refused(migration):
    with connect(migration.target, dbname="postgres") as conn:
        conn.execute("CREATE DATABASE shop")
    with connect(migration.side("new")) as conn:
        conn.execute("CREATE TABLE theirs (id int); INSERT INTO theirs VALUES (1)")
    says(migration.run("--limit", "shop"), "theirs")
    assert orders(migration.side("old")) == 1000
    with connect(migration.side("new")) as conn:
        assert conn.execute("SELECT count(*) FROM theirs").fetchone() == (1,)


@pytest.mark.target_major(15)
def test_an_older_target_is_refused(migration):
    says(migration.run("--tags", "preflight"), "15")
    assert orders(migration.side("old")) == 1000


def test_two_runs_at_once_the_second_names_the_first(migration, eventually):
    reached, gate, hook = (migration.folder / name for name in ("reached", "gate", "hook.yml"))
    hook.write_text(
        "- name: Say that the window is next\n"
        f"  ansible.builtin.file: {{path: {reached}, state: touch, mode: '0600'}}\n"
        "- name: Wait for the test\n"
        f"  ansible.builtin.wait_for: {{path: {gate}, timeout: 180, sleep: 1}}\n"
    )
    migration.variables["landbridge_hooks"] = {"window": {"before": [str(hook)]}}
    first = migration.start("--limit", "shop", "--tags", "preflight,postgres,window")
    try:
        eventually(lambda: reached.exists() or first.poll() is not None, timeout=90)
        says(migration.run("--limit", "shop"), f"{first.pid}")
    finally:
        gate.touch()
        assert first.wait(timeout=180) == 0, (migration.folder / "output").read_text()


def test_without_a_terminal_a_person_is_asked_by_name_of_the_digest(migration):
    migration.variables["landbridge_gate_policy"] = "person"
    waiting = migration.run("--limit", "shop")
    says(waiting, "-e landbridge_go=")
    says(migration.run("--limit", "shop", "-e", "landbridge_go=0123456789abcdef"), "landbridge_go")
    with pytest.raises(psycopg.OperationalError):
        connect(migration.side("old"), user="shop_app", password=APP_PASSWORD)
    digest = waiting.said.split("-e landbridge_go=")[1].split()[0].strip("`.,'\"")
    done = migration.run("--limit", "shop", "-e", f"landbridge_go={digest}")
    assert done.returncode == 0, done.output


def test_no_go_lets_the_source_serve_again(migration):
    migration.variables["landbridge_gate_policy"] = "person"
    assert migration.run("--limit", "shop").returncode != 0
    says(migration.run("--limit", "shop", "-e", "landbridge_go=no"), "no-go")
    assert orders(migration.side("old")) == 1000


def test_a_database_that_shows_a_difference_stops_and_goes_back_if_the_inventory_says_so(migration):
    alone = ("--limit", "shop")
    assert migration.run(*alone, "--tags", "preflight,postgres,window,dataxfer").returncode == 0
    with connect(migration.side("new")) as conn:
        conn.execute("SET ROLE shop_owner; UPDATE orders SET paid = 0 WHERE id = 17")
    stopped = migration.run(*alone)
    says(stopped, "orders")
    says(stopped, "playbooks/rollback.yml")
    with pytest.raises(psycopg.OperationalError):
        connect(migration.side("new"), user="shop_app", password=APP_PASSWORD)
    migration.variables["landbridge_on_failure"] = "rollback"
    says(migration.run(*alone), "The source serves again")
    assert orders(migration.side("old")) == 1000
