"""A migration that is done: what is where, a second run, and what cannot be done any more."""

import pytest

from .conftest import APP_PASSWORD, STAGES, connect, orders, refused

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.xdist_group("moved")]


def test_two_databases_are_on_the_target_and_the_source_is_closed(moved):
    assert orders(moved.side("new")) == 1000
    refused(moved.side("old"))
    with connect(moved.side("new", 'Legacy "Billing"')) as conn:
        assert conn.execute('SELECT count(*) FROM "Odd ""name"."a%b"').fetchone() == (3,)


def test_a_second_run_changes_nothing(moved):
    second = moved.run()
    assert second.returncode == 0, second.output
    assert second.changed == 0, second.output
    for stage in STAGES:
        assert f"{stage} was reached" in second.said, stage


def test_no_secret_is_shown_or_kept(moved):
    secrets = [moved.source["password"], moved.target["password"], APP_PASSWORD]
    kept = [path.read_text() for path in moved.home.rglob("*") if path.is_file()]
    with connect(moved.target, dbname="landbridge") as conn:
        tables = conn.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            kept += [str(row) for row in conn.execute(f"SELECT t::text FROM {table} AS t")]
    for text in [moved.first.output, *kept]:
        assert not any(secret in text for secret in secrets)


def test_what_led_to_cutover_is_not_done_again_after_it(moved):
    asked = ("-e", "landbridge_on_failure=rollback", "-e", "landbridge_redo=verify")
    again = moved.run("--limit", "shop", *asked)
    assert again.returncode != 0
    assert "verify on shop is not done again after cutover: nothing was done" in again.said
    assert orders(moved.side("new")) == 1000
    refused(moved.side("old"))


def test_after_finalize_there_is_no_way_back(moved):
    done = moved.run("--limit", "shop", playbook="playbooks/finalize.yml")
    assert done.returncode == 0, done.output
    back = moved.run("--limit", "shop", playbook="playbooks/rollback.yml")
    assert back.returncode != 0
    assert "shop was finalized" in back.said
    refused(moved.side("old"))
