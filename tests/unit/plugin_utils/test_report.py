import json
from pathlib import Path

import jsonschema
import pytest

from ansible_collections.landbridge.migration.plugins.plugin_utils.report import (
    files,
    page,
    shape,
    summary,
)
from ansible_collections.landbridge.migration.plugins.plugin_utils.report.build import build
from tests.report import sample

SCHEMA = json.loads(Path(page.__file__).with_name("report.schema.json").read_text())


def rebuilt(seen, *failed):
    seen.ended(sample.START + sample.DAY + 24, frozenset(failed))
    return build(seen, sample.START + sample.DAY + 24)


def stage(report, name):
    return next(stage for stage in report["stages"] if stage["stage"] == name)


def database(report, name):
    return next(database for database in report["databases"] if database["host"] == name)


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("report", [sample.whole, sample.live, sample.stopped, sample.hostile])
def test_a_report_is_as_its_schema_says(report):
    jsonschema.validate(json.loads(json.dumps(report())), SCHEMA)


@pytest.mark.parametrize("name", [*SCHEMA["$defs"], "Report"])
def test_the_schema_names_the_fields_of_the_code(name):
    described = SCHEMA if name == "Report" else SCHEMA["$defs"][name]
    assert described["required"] == [*described["properties"]]
    assert set(described["properties"]) == set(getattr(shape, name).__annotations__)


def test_it_shows_the_whole_migration_not_this_run_alone():
    report = sample.whole()
    assert [s["stage"] for s in report["stages"] if s["state"] == "reached"] == sample.STAGES
    assert [s["stage"] for s in report["stages"] if not s["this_run"]] == ["preflight", "postgres"]
    assert report["earlier_runs"][0]["run_id"] == "run-1"
    assert page.headline(report) == "Every stage is reached."


def test_figures_of_databases_add_up():
    report = sample.whole()
    found = report["summary"]
    assert found["databases"] == found["databases_verified"] == 6
    assert found["rows"] == sum(database["rows"] for database in report["databases"]) == 4_498_246
    shop = database(report, "shop")
    assert shop["bytes_per_s"] == round(179_200_000 / 4.3)
    assert shop["tables"][0]["name"] == "public.order_lines"
    assert shop["transfer"]["parts_resumed"] == 4
    assert shop["window_s"] == pytest.approx(11.9, abs=0.5)


def test_a_followed_database_shows_its_lag_and_its_crossing():
    report = sample.live()
    assert "window" not in [stage["stage"] for stage in report["stages"]]
    assert page.headline(report) == "Every stage is reached."
    shop = database(report, "shop")
    assert shop["crossing"]["stall_ms"] == 43.0
    assert shop["crossing"]["steps"][0]["step"] == "pause"
    assert shop["window_s"] == 0.043
    assert shop["lag"][0]["bytes"] == 64_000_000
    assert "lag_readings" not in shop["transfer"]
    assert summary.table(report)[6].endswith("43 ms")


def test_figures_survive_the_run_that_measured_them():
    """Nothing but the journal's snapshot is left of them."""
    seen = sample.record()
    later = sample.Record("migrate.yml", [], None, sample.START + 2 * sample.DAY)
    known = {**sample.snapshot(), "run_id": "run-3"}
    known["checkpoints"] += [found for found in seen.checkpoints.values() if found]
    ours = {"snapshot": known, "home": "/x", "migration": "acme"}
    later.take(sample.result(later.started, "flights", "run", {"landbridge": ours}))
    before, after = sample.whole(), rebuilt(later)
    assert after["databases"] == before["databases"]
    assert not any(found["this_run"] for found in after["checkpoints"])


def test_a_stage_is_open_until_each_of_its_hosts_is_reached():
    seen = sample.record()
    args = {"state": "open", "stage": "smoke", "host": "extra"}
    ours = {"landbridge": {"checkpoint": {"stage": "smoke", "host": "extra"}}}
    seen.take(sample.result(sample.START + sample.DAY + 20, "extra", "checkpoint", ours, args=args))
    report = rebuilt(seen)
    assert stage(report, "smoke")["state"] == "open"
    assert page.headline(report) == "Reached cutover; next is smoke."


def test_a_checkpoint_that_was_taken_back_is_gone():
    seen = sample.record()
    args = {"state": "clear", "stage": "smoke", "host": "shop"}
    ours = {"landbridge": {"checkpoint": {"stage": "smoke", "host": "shop"}}}
    seen.take(sample.result(sample.START + sample.DAY + 20, "shop", "checkpoint", ours, args=args))
    hosts = [host["host"] for host in stage(rebuilt(seen), "smoke")["hosts"]]
    assert "shop" not in hosts
    assert "media" in hosts


def test_checkpoints_taken_back_in_a_loop_are_gone():
    seen = sample.record()
    items = [
        {"landbridge": {"checkpoint": {"stage": stage, "host": "shop"}}}
        for stage in ("cutover", "smoke")
    ]
    taken = sample.result(
        sample.START + sample.DAY + 20, "shop", "checkpoint", {"results": items},
        args={"state": "clear"},
    )  # fmt: skip
    seen.take(taken)
    report = rebuilt(seen)
    for name in ("cutover", "smoke"):
        assert "shop" not in [host["host"] for host in stage(report, name)["hosts"]]


def test_what_builds_on_a_checkpoint_that_was_replaced_is_stale():
    seen = sample.record()
    key = next(key for key in seen.checkpoints if key == ("verify", "shop"))
    base = {"stage": "dataxfer", "host": "shop", "digest": "of an earlier copy"}
    seen.checkpoints[key]["requires"] = [base]
    report = rebuilt(seen)
    assert stage(report, "verify")["state"] == "stale"
    assert database(report, "shop")["verified"] is None
    assert database(report, "media")["verified"] is True
    found = next(c for c in report["checkpoints"] if (c["stage"], c["host"]) == key)
    assert found["stale"] == "dataxfer on shop was done again since"


def test_a_failure_says_cause_remedy_and_state():
    report = sample.stopped()
    assert report["run"]["outcome"] == "failed"
    (failure,) = report["failures"]
    assert failure["message"] == "2 rows of public.orders differ, first (4711)"
    assert failure["code"] == "not_converged"
    assert failure["remedy"].startswith("See what writes")
    assert failure["state"].startswith("shop: stage verify failed. The source is fenced")
    assert stage(report, "verify")["state"] == "failed"
    assert database(report, "shop")["verified"] is False
    assert page.headline(report) == "Stopped at verify."


def test_a_failure_that_the_run_survived_is_marked_so():
    seen = sample.record()
    failed = {"msg": "no answer", "error": {"code": "postgres", "retryable": True, "hint": ""}}
    when = sample.START + sample.DAY + 21
    seen.take(sample.result(when, "shop", "pg_assert", failed, status="failed"))
    report = rebuilt(seen)
    assert report["run"]["outcome"] == "ok"
    assert report["failures"][0]["handled"] is True
    assert stage(report, "smoke")["state"] == "reached"
    assert summary.failures(report) == []


def test_figures_beside_the_evidence_are_shown_too():
    seen = sample.record()
    proof = {"rows": 7, "bytes": 1000, "tables_count": 1}
    told = {"tables": [{"name": "public.a", "rows": 7, "bytes": 1000, "seconds": 0.5}]}
    seen.told["pg_clone", "shop"] = {"evidence": proof, **told, "elapsed_s": 2.0, "changed": True}
    seen.checkpoints["dataxfer", "shop"]["evidence"] = {**proof, "note": "of the role's own"}
    shop = database(rebuilt(seen), "shop")
    assert (shop["seconds"], shop["bytes_per_s"]) == (2.0, 500)
    assert shop["tables"][0]["bytes_per_s"] == 2000
    assert shop["transfer"]["note"] == "of the role's own"


def test_a_copy_that_was_there_has_the_time_of_its_stage():
    seen = sample.record()
    proof = {"rows": 7, "bytes": 1000}
    seen.told["pg_clone", "shop"] = {"evidence": proof, "elapsed_s": 0.1, "changed": False}
    seen.checkpoints["dataxfer", "shop"]["evidence"] = proof
    assert database(rebuilt(seen), "shop")["seconds"] == 4.3


def test_figures_of_another_copy_are_not_mixed_in():
    seen = sample.record()
    seen.told["pg_clone", "shop"] = {"evidence": {"rows": 1}, "bytes": 5, "changed": True}
    assert database(rebuilt(seen), "shop")["bytes"] == 179_200_000


def test_a_way_back_is_not_taken_for_a_migration():
    """Its copies go the other way, in a play of no stage."""
    seen = sample.Record("rollback.yml", [], None, sample.START)
    ours = {"snapshot": sample.snapshot(), "home": "/x", "migration": "acme"}
    seen.play_started(sample.START, "rollback | The source serves", None)
    seen.task_started(sample.START, "Copy what the target holds", "landbridge.migration.pg_clone")
    seen.take(sample.result(sample.START, "flights", "run", {"landbridge": ours}))
    seen.take(sample.result(sample.START, "shop", "pg_clone", {"evidence": sample.copied("shop")}))
    report = rebuilt(seen)
    assert report["databases"] == []
    assert page.headline(report) == "Reached postgres."


def test_a_rehearsal_says_that_it_is_one():
    seen = sample.Record("rehearse.yml", [], None, sample.START)
    ours = {"snapshot": sample.snapshot(), "home": "/x", "migration": "acme"}
    args = {"kind": "rehearsal"}
    seen.take(sample.result(sample.START, "flights", "run", {"landbridge": ours}, args=args))
    assert page.headline(rebuilt(seen)) == "Rehearsal: Reached postgres."


def test_results_that_are_hidden_or_odd_break_nothing():
    seen = sample.record()
    odd = [
        {"censored": "hidden"},
        {"landbridge": "text"},
        {"landbridge": {"checkpoint": None, "decision": 1, "checklist": "x", "snapshot": []}},
        {"evidence": [1], "findings": {"a": 1}, "results": [1, {"failed": True, "msg": 3}]},
    ]
    for data in odd:
        seen.take(sample.result(0, "shop", "pg_clone", data, status="failed"))
    report = rebuilt(seen, "shop")
    jsonschema.validate(report, SCHEMA)
    page.render(report)
    assert [failure["message"] for failure in report["failures"]] == ["hidden", "", "", "3"]


def test_evidence_of_unknown_shape_is_shown_all_the_same():
    seen = sample.record()
    seen.checkpoints["smoke", "shop"]["evidence"] = {
        "lag_bytes": 12_000_000,
        "p99_ms": 1.25,
        "nested": {"deep": {"elapsed_s": 90}},
        "names": ["a", "b"],
        "rows": [{"id": 1, "why": None}, {"id": 2}],
        "none": [],
        "ready": True,
    }
    shown = page.render(rebuilt(seen))
    for text in ("lag bytes", "12 MB", "p99 milliseconds", "1 min 30 s", "a, b", "—", "yes"):
        assert text in shown


@pytest.mark.parametrize(
    "key, value, shown",
    [
        ("elapsed_s", 4.25, "4.2 s"),
        ("bytes", 1_300_000_000, "1.3 GB"),
        ("lag_bytes", 12, "12 B"),
        ("bytes_per_s", 118e6, "118 MB/s"),
        ("rows_per_s", 12000, "12,000"),
        ("source_version", 150020, "15.20"),
        ("rows", 4711, "4,711"),
        ("port", 54321, "54321"),
        ("equal", True, "yes"),
        ("why", None, "—"),
        ("differing", [], "none"),
        ("note", "", ""),
    ],
)
def test_a_value_is_shown_in_the_unit_of_its_name(key, value, shown):
    assert page.scalar(value, key) == shown


def test_a_count_is_left_out_beside_its_whole_list():
    found = {"differing": [], "differing_count": 0, "notes": ["a"], "notes_count": 7}
    assert [key for key, _ in page.tidy(found)] == ["differing", "notes", "notes_count"]


@pytest.mark.parametrize(
    "text, shown",
    [
        ("run `make`.", "run <code>make</code>."),
        ("one ` alone", "one ` alone"),
        ("`a` and `b", "<code>a</code> and `b"),
        ("`<b>`", "<code>&lt;b&gt;</code>"),
    ],
)
def test_what_stands_in_backquotes_is_code(text, shown):
    assert page.code(text) == shown


def test_findings_that_evidence_keeps_short_are_findings_still():
    seen = sample.record()
    short = ["blocker older_major: shop", "warning role_missing: role a: b", "odd"]
    seen.checkpoints["window", "shop"]["evidence"] = {"findings": short}
    found = [f for f in rebuilt(seen)["findings"] if f["host"] == "shop"]
    assert [(f["severity"], f["code"], f["object"]) for f in found] == [
        ("blocker", "older_major", "shop"),
        ("warning", "role_missing", "role a: b"),
    ]


def test_lists_are_capped_and_counted():
    seen = sample.record()
    many = [{"code": "c", "severity": "note", "object": f"t{n:03}"} for n in range(150)]
    many.append({"code": "c", "severity": "blocker", "object": "zz"})
    seen.take(sample.result(0, "shop", "pg_audit", {"findings": many}))
    report = rebuilt(seen)
    assert len(report["findings"]) == 100
    assert report["findings_count"] == 153
    assert report["findings"][0]["object"] == "zz"


def test_the_closing_table_has_a_line_a_database():
    lines = summary.table(sample.whole())
    cells = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]
    assert cells[0] == [*summary.HEAD]
    assert cells[6] == ["shop", "1,224,345", "179 MB", "4.3 s", "42 MB/s", "equal", "12 s"]
    assert cells[7][:2] == ["together", "4,498,246"]
    assert summary.failures(sample.stopped()) == [
        "failed: shop at verify: 2 rows of public.orders differ, first (4711) "
        "See what writes to the source past the fence, then copy the table again."
    ]


def test_a_run_that_copied_nothing_has_no_table():
    assert summary.table(rebuilt(sample.Record("x", [], None, 0.0))) == []


def test_a_report_of_nothing_can_be_read():
    report = rebuilt(sample.Record("migrate.yml", [], None, 0.0, stages=["preflight"]))
    jsonschema.validate(report, SCHEMA)
    assert page.headline(report) == "No stage is reached yet."
    assert "not reached yet" in page.render(report)


def test_markup_is_escaped_wherever_it_comes_from():
    shown = page.render(sample.hostile())
    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;" in shown


def test_a_file_is_replaced_whole_and_private(tmp_path):
    path = tmp_path / "new" / "report.json"
    files.write(path, "one")
    files.write(path, "two")
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [*path.parent.iterdir()] == [path]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "report.json"
    files.write(path, "one")
    with pytest.raises(UnicodeEncodeError):
        files.write(path, "\ud800")
    assert path.read_text() == "one"
    assert [*tmp_path.iterdir()] == [path]


def test_the_reference_names_every_field():
    text = (Path(__file__).parents[3] / "docs/reference/report.md").read_text()
    fields = [*SCHEMA["properties"], *SCHEMA["$defs"]["Run"]["properties"]]
    fields += [*SCHEMA["$defs"]["Summary"]["properties"]]
    assert [name for name in fields if f"`{name}`" not in text] == []
