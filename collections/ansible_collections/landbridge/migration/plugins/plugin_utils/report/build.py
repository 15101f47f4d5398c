# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make the report of what a run showed and of what the journal knew before it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from . import checkpoints, databases, moments, shape
from .checkpoints import dicts, text
from .record import Failed, PlaySeen, Record

SEVERITIES = ("blocker", "warning", "note")
UNDERSTOOD = {
    *("migration", "description", "run_id", "journal", "lease"),
    *("checkpoints", "decisions", "answers", "runs", "timings"),
}
SHORT = re.compile(r"(?P<severity>\w+) (?P<code>\w+): (?P<object>.*)", re.DOTALL)
LONGEST = 4000  # characters of a failure's message
TASKS = 1000


def build(record: Record, now: float) -> shape.Report:
    """Return the report; a list is never longer than its limit, a value never a secret of ours."""
    found = checkpoints.collect(record)
    copied = databases.collect(record, found)
    stages = checkpoints.stages(record, found)
    findings = _findings(record, found)
    return {
        "version": shape.VERSION,
        "generated": moments.iso(now),
        "migration": {
            "name": record.migration,
            "description": str(record.snapshot.get("description") or ""),
        },
        "run": _run(record, now),
        "summary": _summary(copied, stages),
        "stages": stages,
        "databases": copied,
        "checkpoints": found,
        "checklist": _checklist(record),
        "decisions": _decisions(record),
        "findings": findings[: shape.LISTED],
        "findings_count": len(findings),
        "failures": _failures(record),
        "plays": [_play(play) for play in record.plays if play.tasks],
        "earlier_runs": _earlier_runs(record),
        "other": {k: v for k, v in record.snapshot.items() if k not in UNDERSTOOD and v},
    }


def _run(record: Record, now: float) -> shape.Run:
    finished = record.finished if record.finished is not None else now
    outcome = "failed" if record.failed_hosts else "ok"
    return {
        "id": record.run_id,
        "kind": record.kind,
        "playbook": record.playbook,
        "tags": record.tags,
        "limit": record.limit,
        "started": moments.iso(record.started),
        "finished": moments.iso(finished),
        "elapsed_s": moments.between(record.started, finished),
        "outcome": "running" if record.finished is None else outcome,
    }


def _summary(found: list[shape.Database], stages: list[shape.Stage]) -> shape.Summary:
    reached = [stage["stage"] for stage in stages if stage["state"] == "reached"]
    size = sum(database["bytes"] or 0 for database in found)
    copy = next((stage for stage in stages if stage["stage"] == "dataxfer"), None)
    copy_s = copy["elapsed_s"] if copy else None
    windows = [d["window_s"] for d in found if d["window_s"] is not None]
    return {
        "stage": reached[-1] if reached else None,
        "databases": len(found),
        "databases_verified": sum(d["verified"] is True for d in found),
        "tables": sum(d["tables_count"] or 0 for d in found),
        "rows": sum(d["rows"] or 0 for d in found),
        "bytes": size,
        "copy_s": copy_s,
        "bytes_per_s": round(size / copy_s) if size and copy_s else None,
        "window_s": max(windows, default=None),
    }


def _checklist(record: Record) -> list[shape.ChecklistItem]:
    """Return the items that the gate showed, then what was answered in other runs beside it."""
    answers = {str(a.get("item", "")): a for a in dicts(record.snapshot.get("answers"))}
    items = {str(item.get("id", "")): item for item in record.checklist}
    ids = [*items, *(item for item in answers if item not in items)]
    return [_item(name, items.get(name) or answers[name]) for name in ids]


def _item(name: str, row: dict[str, Any]) -> shape.ChecklistItem:
    answer = text(row.get("answer"))
    sides = [side for side in ("before", "after") if row.get(side)]
    return {
        "id": name,
        "text": str(row.get("text") or name),
        "when": f"{sides[0]} {row[sides[0]]}" if sides else None,
        "state": {None: "open", "yes": "met"}.get(answer, "failed"),
        "answer": answer,
        "how": text(row.get("how")),
        "note": text(row.get("note")),
        "by": text(row.get("answered_by")),
        "time": moments.normal(row.get("answered")),
        "contingency": text(row.get("contingency")),
    }


def _decisions(record: Record) -> list[shape.Decision]:
    """Return every decision once, the newest last."""
    seen: dict[tuple[str, str, str], shape.Decision] = {}
    earlier = dicts(record.snapshot.get("decisions"))
    for this_run, made in [*((False, d) for d in earlier), *((True, d) for d in record.decisions)]:
        decision = _decision(made, this_run=this_run)
        key = (decision["decision"], str(decision["digest"]), str(decision["time"]))
        seen.setdefault(key, decision)
    return sorted(seen.values(), key=lambda decision: decision["time"] or "")[-shape.LISTED :]


def _decision(made: dict[str, Any], *, this_run: bool) -> shape.Decision:
    parts = made.get("parts")
    return {
        "decision": str(made.get("decision", "")),
        "digest": text(made.get("digest")),
        "how": text(made.get("how")),
        "by": text(made.get("decided_by")),
        "time": moments.normal(made.get("decided")),
        "parts": parts if isinstance(parts, dict) else {},
        "this_run": this_run,
    }


def _findings(record: Record, found: list[shape.Checkpoint]) -> list[shape.Finding]:
    """Return findings of this run and of earlier runs' evidence once each, the worst first."""
    seen: dict[tuple[str, ...], shape.Finding] = {}
    sources = [(key.host, data) for key, data in record.told.items()]
    sources += [(c["host"], c["evidence"]) for c in found]
    for host, data in sources:
        for raw in _told(data.get("findings")):
            finding = _finding(host, raw)
            seen.setdefault((host, finding["code"], finding["object"]), finding)
    return sorted(seen.values(), key=lambda f: (_severity(f), f["host"], f["code"], f["object"]))


def _told(findings: Any) -> Iterable[dict[str, Any]]:
    """Yield findings; where evidence keeps them short, from `warning role_missing: role a`."""
    yield from dicts(findings)
    for short in findings if isinstance(findings, list) else ():
        if isinstance(short, str) and (parts := SHORT.fullmatch(short)):
            yield parts.groupdict()


def _finding(host: str, raw: dict[str, Any]) -> shape.Finding:
    return {
        "host": host,
        "code": str(raw.get("code", "")),
        "severity": str(raw.get("severity") or "note"),
        "object": str(raw.get("object", "")),
        "message": str(raw.get("message", "")),
        "remedy": str(raw.get("remedy") or ""),
    }


def _severity(finding: shape.Finding) -> int:
    known = finding["severity"] in SEVERITIES
    return SEVERITIES.index(finding["severity"]) if known else len(SEVERITIES)


def _failures(record: Record) -> list[shape.Failure]:
    """Return what failed; a `fail` that follows on the same host says in what state all is left."""
    shown: list[shape.Failure] = []
    last: dict[str, shape.Failure] = {}
    for failed in record.failures:
        host, module = failed.result.host, failed.result.action.rpartition(".")[2]
        before = last.get(host)
        if module == "fail" and before and before["stage"] == failed.stage:
            before["state"] = _message(failed.result.data)
            continue
        last[host] = _failure(failed, handled=host not in record.failed_hosts)
        shown.append(last[host])
    return shown[: shape.LISTED]


def _failure(failed: Failed, *, handled: bool) -> shape.Failure:
    data = failed.result.data
    error = data.get("error")
    error = error if isinstance(error, dict) else {}
    return {
        "time": moments.iso(failed.result.time),
        "host": failed.result.host,
        "stage": failed.stage,
        "task": failed.result.task,
        "action": failed.result.action,
        "message": _message(data),
        "code": text(error.get("code")),
        "retryable": error.get("retryable") is True,
        "remedy": str(error.get("hint") or ""),
        "state": "",
        "handled": handled,
    }


def _message(data: dict[str, Any]) -> str:
    """Return a result's message; a loop's is that of the items that failed."""
    messages = [item["msg"] for item in dicts(data.get("results")) if _failed_item(item)]
    whole = " ".join(map(str, messages)) or data.get("msg") or data.get("censored") or ""
    return str(whole)[:LONGEST]


def _failed_item(item: dict[str, Any]) -> bool:
    return bool(item.get("failed") or item.get("unreachable")) and "msg" in item


def _play(play: PlaySeen) -> shape.Play:
    return {
        "play": play.play,
        "stage": play.stage,
        "started": moments.iso(play.started),
        "elapsed_s": moments.between(play.started, play.last),
        "tasks": [
            {
                "task": task.task,
                "action": task.action,
                "started": moments.iso(task.started),
                "elapsed_s": moments.between(task.started, task.last),
                "ok": task.counts.get("ok", 0),
                "changed": task.counts.get("changed", 0),
                "failed": sum(task.counts.get(s, 0) for s in ("failed", "unreachable", "ignored")),
                "skipped": task.counts.get("skipped", 0),
            }
            for task in play.tasks[:TASKS]
        ],
    }


def _earlier_runs(record: Record) -> list[dict[str, Any]]:
    runs: Iterable[dict[str, Any]] = dicts(record.snapshot.get("runs"))
    return [run for run in runs if str(run.get("run_id")) != record.run_id][-shape.LISTED :]
