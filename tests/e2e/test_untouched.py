"""Runs that change neither side: a check, and what asks for something impossible."""

import pytest

from .conftest import APP_PASSWORD, connect, orders, says

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def is_as_it_was(migration):
    assert orders(migration.side("old")) == 1000
    with connect(migration.target, dbname="postgres") as conn:
        names = {name for (name,) in conn.execute("SELECT datname FROM pg_database")}
    assert not names & {"shop", "landbridge"}


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
def test_a_run_that_is_not_well_asked_for_does_nothing(untouched, args, sentence):
    says(untouched.run(*args), sentence)
    is_as_it_was(untouched)


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
def test_preflight_says_what_keeps_a_server_from_serving(untouched, host, changes, sentence):
    untouched.servers[host] |= changes
    result = untouched.run("--tags", "preflight")
    says(result, sentence)
    assert "canary" not in result.output
    is_as_it_was(untouched)


def test_a_source_that_is_the_target_is_refused(untouched):
    untouched.servers["new"] = dict(untouched.servers["old"])
    says(untouched.run("--tags", "preflight"), "same")
    is_as_it_was(untouched)


def test_the_inventory_may_miss_nothing(untouched):
    del untouched.servers["old"]["postgres_user"]
    says(untouched.run(), "old: postgres_user is not set")
    is_as_it_was(untouched)


def test_check_mode_on_a_first_run_changes_nothing(untouched):
    done = untouched.run("--check", "--diff")
    assert done.returncode == 0, done.output
    is_as_it_was(untouched)
