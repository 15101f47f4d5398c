"""The module, with a real PgBouncer: it converges, predicts, and keeps its secret."""

import pytest

from ansible_collections.landbridge.migration.plugins.modules import pooler

pytestmark = pytest.mark.postgres


def route(target):
    return {"host": target.host, "port": target.port, "dbname": target.dbname}


def test_it_only_tells_if_nothing_is_wanted(pooled, run_module):
    told = run_module(pooler, pooler=pooled.options)
    assert not told["changed"]
    assert told["route"]["before"] == {**route(pooled.source), "paused": False}
    assert told["route"]["after"] == told["route"]["before"]
    assert told["findings"] == []


@pytest.mark.parametrize("state", ["paused", "resumed"])
def test_it_converges_and_a_second_run_changes_nothing(pooled, run_module, state):
    wanted = {"pooler": pooled.options, "state": state, "route": route(pooled.target)}
    predicted = run_module(pooler, check_mode=True, diff=True, **wanted)
    assert run_module(pooler, pooler=pooled.options)["route"]["after"]["host"] == pooled.source.host
    done = run_module(pooler, diff=True, **wanted)
    for key in ("changed", "route", "diff"):
        assert predicted[key] == done[key]
    assert done["changed"]
    assert done["route"]["after"] == {**route(pooled.target), "paused": state == "paused"}
    assert set(done["evidence"]) == {"switch_ms", "pause_ms" if state == "paused" else "resume_ms"}
    again = run_module(pooler, **wanted)
    assert not again["changed"]
    assert again["evidence"] == {}


def test_a_file_that_was_changed_and_not_read_is_put_right(pooled, run_module):
    text = pooled.bouncer.ini.read_text()
    pooled.bouncer.ini.write_text(text.replace(f"port={pooled.source.port}", "port=1"))
    told = run_module(pooler, pooler=pooled.options)
    assert [finding["code"] for finding in told["findings"]] == ["pooler_file_differs"]
    run_module(pooler, pooler=pooled.options, route=route(pooled.source))
    assert run_module(pooler, pooler=pooled.options)["findings"] == []


def test_a_transaction_that_does_not_end_fails_a_pause_and_is_named(pooled, run_module):
    writer = pooled.connect(application_name="nightly report")
    writer.execute("BEGIN")
    writer.execute("SELECT 1")
    failed = run_module(pooler, pooler=pooled.options, state="paused", timeout=1)
    assert failed["failed"]
    assert failed["error"]["code"] == "deadline"
    assert failed["holders"][0]["application_name"] == "nightly report"
    assert not run_module(pooler, pooler=pooled.options)["route"]["after"]["paused"]


def test_a_refused_login_tells_the_remedy_and_no_secret(pooled, run_module):
    wrong = {**pooled.options, "password": "canary/s3cret"}
    failed = run_module(pooler, pooler=wrong)
    assert failed["error"]["code"] == "postgres"
    assert failed["msg"].startswith("pooler: ")
    assert "password" in failed["error"]["hint"]
    assert "s3cret" not in str(failed)


def test_without_a_pooler_nothing_is_done(run_module):
    done = run_module(pooler, pooler={"kind": "none"}, state="paused")
    assert not done["changed"]
    assert done["route"]["after"]["host"] == ""


def test_what_is_missing_is_told(pooled, run_module):
    for left_out, words in (("database", "which database is meant"), ("user", "host and user")):
        options = {name: value for name, value in pooled.options.items() if name != left_out}
        failed = run_module(pooler, pooler=options)
        assert failed["error"]["code"] == "precondition"
        assert words in failed["msg"]
