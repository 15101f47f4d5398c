"""What a user who got something wrong is told, and that nothing was changed by it."""

import psycopg
import pytest

from .conftest import APP_PASSWORD, connect

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def says(result, sentence):
    assert result.returncode != 0, result.output
    assert sentence in result.said, result.output
    assert "Traceback" not in result.output


def source_serves(migration):
    with connect(migration.side("old"), user="shop_app", password=APP_PASSWORD) as conn:
        assert conn.execute("SELECT count(*) FROM orders").fetchone() == (1000,)


def target_is_empty(migration):
    with connect(migration.target, dbname="postgres") as conn:
        names = {name for (name,) in conn.execute("SELECT datname FROM pg_database")}
    assert "shop" not in names


@pytest.mark.parametrize(
    "args, sentence",
    [
        pytest.param(["--tags", "datxfer"], "No stage is called datxfer", id="unknown-tag"),
        pytest.param(["--skip-tags", "gat"], "No stage is called gat", id="unknown-skip-tag"),
        pytest.param(
            ["-e", "landbridge_gate_polcy=person"],
            "variable landbridge_gate_polcy is not known; did you mean landbridge_gate_policy?",
            id="misspelt-variable",
        ),
        pytest.param(["-e", "landbridge_mode=lve"], "landbridge_mode is lve", id="unknown-mode"),
        pytest.param(
            ["--tags", "dataxfer"],
            "Run: ansible-playbook migrate.yml --tags",
            id="missing-prerequisite",
        ),
    ],
)
def test_a_run_that_is_not_well_asked_for_does_nothing(migration, args, sentence):
    says(migration.run(*args), sentence)
    source_serves(migration)
    target_is_empty(migration)


@pytest.mark.parametrize(
    "host, changes, sentence",
    [
        pytest.param(
            "old", {"postgres_password": "canary/s3cret"}, "source: ", id="wrong-password"
        ),
        pytest.param("old", {"postgres_port": 1}, "source: ", id="nobody-listens"),
        pytest.param(
            "old", {"postgres_host": "127.0.0.1"}, "source: ", id="certificate-of-another"
        ),
        pytest.param(
            "old",
            {"postgres_user": "shop_app", "postgres_password": APP_PASSWORD},
            "shop_app",
            id="too-few-rights",
        ),
    ],
)
def test_preflight_says_what_keeps_a_server_from_serving(migration, host, changes, sentence):
    migration.servers[host] |= changes
    result = migration.run("--tags", "preflight")
    says(result, sentence)
    assert "canary" not in result.output
    target_is_empty(migration)


def test_a_source_that_is_the_target_is_refused(migration):
    migration.servers["new"] = dict(migration.servers["old"])
    says(migration.run("--tags", "preflight"), "same")
    source_serves(migration)


def test_a_target_that_holds_other_tables_is_refused(migration):
    with connect(migration.target, dbname="postgres") as conn:
        conn.execute("CREATE DATABASE shop")
    with connect(migration.side("new")) as conn:
        conn.execute("CREATE TABLE theirs (id int); INSERT INTO theirs VALUES (1)")
    says(migration.run("--limit", "shop"), "theirs")
    source_serves(migration)
    with connect(migration.side("new")) as conn:
        assert conn.execute("SELECT count(*) FROM theirs").fetchone() == (1,)


@pytest.mark.target_major(15)
def test_an_older_target_is_refused(migration):
    says(migration.run("--tags", "preflight"), "15")
    source_serves(migration)


def test_two_runs_at_once_the_second_names_the_first(migration, eventually):
    assert migration.run("--tags", "preflight,postgres").returncode == 0
    reached, gate, hook = (migration.folder / name for name in ("reached", "gate", "hook.yml"))
    hook.write_text(
        "- name: Say that the window is next\n"
        f"  ansible.builtin.file: {{path: {reached}, state: touch, mode: '0600'}}\n"
        "- name: Wait for the test\n"
        f"  ansible.builtin.wait_for: {{path: {gate}, timeout: 180, sleep: 1}}\n"
    )
    migration.variables["landbridge_hooks"] = {"window": {"before": [str(hook)]}}
    first = migration.start("--limit", "shop")
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
    source_serves(migration)


def test_no_secret_is_shown_or_kept(migration):
    secrets = [migration.source["password"], migration.target["password"], APP_PASSWORD]
    done = migration.run("-vvv", "--diff", "--limit", "shop")
    assert done.returncode == 0, done.output[-3000:]
    kept = [path.read_text() for path in migration.home.rglob("*") if path.is_file()]
    with connect(migration.target, dbname="landbridge") as conn:
        tables = conn.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            kept += [str(row) for row in conn.execute(f"SELECT t::text FROM {table} AS t")]
    for text in [done.output, *kept]:
        assert not any(secret in text for secret in secrets)


def test_a_database_that_shows_a_difference_stops_before_the_gate(migration):
    assert migration.run("--tags", "preflight,postgres,window,dataxfer").returncode == 0
    with connect(migration.side("new")) as conn:
        conn.execute("SET ROLE shop_owner; UPDATE orders SET paid = 0 WHERE id = 17")
    stopped = migration.run()
    says(stopped, "orders")
    says(stopped, "playbooks/rollback.yml")
    with pytest.raises(psycopg.OperationalError):
        connect(migration.side("new"), user="shop_app", password=APP_PASSWORD)


def test_a_failure_in_the_window_goes_back_if_the_inventory_says_so(migration):
    migration.variables["landbridge_on_failure"] = "rollback"
    assert migration.run("--tags", "preflight,postgres,window,dataxfer").returncode == 0
    with connect(migration.side("new")) as conn:
        conn.execute("SET ROLE shop_owner; DELETE FROM orders WHERE id = 17")
    says(migration.run(), "The source serves again")
    source_serves(migration)


def test_the_inventory_may_miss_nothing(migration):
    del migration.servers["old"]["postgres_user"]
    says(migration.run(), "old: postgres_user is not set")
    source_serves(migration)
