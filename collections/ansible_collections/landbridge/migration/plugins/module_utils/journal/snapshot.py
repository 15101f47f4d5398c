# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the journal holds, as results and reports show it: pure.

A result above 700,000 characters is dropped by ansible-runner, so evidence beyond a budget is left
out, the oldest first, and the checkpoint says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from .checkpoints import staleness
from .fingerprint import canonical
from .lease import Holder
from .records import Checkpoint, elapsed_s, utc

EVIDENCE_CHARS = 200_000


def shown(migration: str, run_id: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the snapshot of a migration.

    :param found: checkpoints, answers and decisions as records, the rest as the journal's JSON.
    """
    holder = Holder(**found["holder"]) if found.get("holder") else None
    return {
        "migration": migration,
        "description": found.get("description") or "",
        "run_id": run_id,
        "lease": _lease(holder, run_id),
        "checkpoints": checkpoints(found["checkpoints"]),
        "history": [_timed(row) for row in found.get("history", [])],
        "answers": [asdict(answer) for answer in found["answers"]],
        "decisions": [asdict(decision) for decision in found["decisions"]],
        "runs": [_run(row, holder) for row in found.get("runs", [])],
        "timings": [_timed(row) for row in found.get("timings", [])],
    }


def checkpoints(found: Iterable[Checkpoint], budget: int = EVIDENCE_CHARS) -> list[dict[str, Any]]:
    """Return checkpoints with ``stale``: why each no longer holds, or an empty text."""
    current = {checkpoint.place: checkpoint for checkpoint in found}
    result = []
    for place, checkpoint in reversed(current.items()):
        budget -= len(canonical(checkpoint.evidence))
        row = {**checkpoint.shown(), "stale": staleness(place, current)}
        result.append(row if budget >= 0 else {**row, "evidence": {}, "evidence_left_out": True})
    return result[::-1]


def _lease(holder: Holder | None, run_id: str) -> dict[str, Any]:
    if holder is None:
        return {"state": "free"}
    state = "mine" if holder.run_id == run_id else "held"
    return {"state": state, **_timed(holder._asdict())}


def _run(row: Mapping[str, Any], holder: Holder | None) -> dict[str, Any]:
    """Return a run; one without an end that does not hold the lease ended without saying so."""
    state = row["outcome"]
    if state is None:
        under_way = holder is not None and holder.run_id == row["run_id"]
        state = "under way" if under_way else "ended without saying so"
    return {**_timed(row), "state": state}


def _timed(row: Mapping[str, Any]) -> dict[str, Any]:
    times = ("started", "finished", "superseded", "process_started")
    result = {
        name: utc(datetime.fromisoformat(value)) if value and name in times else value
        for name, value in row.items()
    }
    if result.get("started") and result.get("finished"):
        result["elapsed_s"] = elapsed_s(result["started"], result["finished"])
    return result
