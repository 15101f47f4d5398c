"""What crossings amount to, and the page that tells it with the machine's description."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.clone.results import spread


@dataclass(slots=True)
class Crossed:
    """One crossing: what the module measured, and what the writers did by their own clocks.

    :param wait_ms: the longest that any write took which was under way during the crossing.
    """

    direction: str
    stall_ms: float
    wait_ms: float
    steps: dict[str, float]


@dataclass(slots=True)
class Scenario:
    """Crossings there and back, in turns, with some number of writers at some distance."""

    title: str
    aim_ms: float
    writers: int
    crossings: list[Crossed] = field(default_factory=list)
    acknowledged: int = 0
    failed: int = 0
    lost: int = 0
    doubled: int = 0

    def stalls(self) -> list[float]:
        return [each.stall_ms for each in self.crossings]

    def waits(self) -> list[float]:
        return [each.wait_ms for each in self.crossings]


def longest_wait_ms(waits: Sequence[Sequence[float]], began: float, ended: float) -> float:
    """Return the longest of the waits (begun, seconds) that meet the time between two moments."""
    met = [waited for begun, waited in waits if begun < ended and begun + waited > began]
    return 1000 * max(met, default=0.0)


def table(scenario: Scenario) -> str:
    """Return a scenario's figures as Markdown."""
    there = [each.stall_ms for each in scenario.crossings if each.direction == "forward"]
    back = [each.stall_ms for each in scenario.crossings if each.direction == "back"]
    rows = [
        f"## {scenario.title}\n",
        "| | median (range), ms |",
        "|---|---|",
        f"| stall, {len(scenario.crossings)} crossings | {spread(scenario.stalls(), 0)} |",
        *([f"| there | {spread(there, 0)} |"] if there else []),
        *([f"| back | {spread(back, 0)} |"] if back else []),
        f"| longest wait of any write | {spread(scenario.waits(), 0)} |",
        *(f"| {name} | {value} |" for name, value in _steps(scenario).items()),
        f"\n{scenario.acknowledged} writes acknowledged, {scenario.failed} failed,"
        f" {scenario.lost} lost, {scenario.doubled} there twice. Aim: a median stall of at most"
        f" {scenario.aim_ms:g} ms.",
    ]
    return "\n".join(rows)


def _steps(scenario: Scenario) -> dict[str, str]:
    names = dict.fromkeys(name for each in scenario.crossings for name in each.steps)
    return {
        name: spread([e.steps[name] for e in scenario.crossings if name in e.steps], 1)
        for name in names
    }


def page(scenarios: Sequence[Scenario], described: dict[str, str], command: str) -> str:
    """Return the whole result as Markdown."""
    lines = [
        "# Crossings under load\n",
        f"{datetime.now(UTC):%Y-%m-%d}, by `{command}`. "
        + ", ".join(f"{key} {value}" for key, value in described.items())
        + ".\n",
        "The stall is from PAUSE to RESUME, as `pg_cutover` measures it; of it, pause, barrier,"
        " take_over, switch and resume. The longest wait is by the writers' own clocks, which also"
        " see the first login to the other server. Writers go through PgBouncer in transaction"
        " mode; TLS everywhere, fsync on; servers, pooler and writers share the machine.\n",
    ]
    return "\n".join([*lines, "\n\n".join(table(scenario) for scenario in scenarios)]) + "\n"


def write(
    folder: Path, scenarios: Sequence[Scenario], described: dict[str, str], command: str
) -> Path:
    """Write <date>.md and <date>.json into ``folder``; return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y-%m-%d}.md"
    path.write_text(page(scenarios, described, command))
    content: dict[str, Any] = {"machine": described, "command": command}
    content["scenarios"] = [
        {**asdict(each), "median_ms": statistics.median(each.stalls())} for each in scenarios
    ]
    path.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    return path
