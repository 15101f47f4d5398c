"""What the runs amount to, and the page that tells it with the machine's description."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.clone.measure import Measured

OURS, BASELINE = "pg_clone", "pg_dump/pg_restore"


@dataclass(slots=True)
class Scenario:
    """One database at one distance: every contender's runs, in the order of the pairs."""

    name: str
    title: str
    aim: float
    size_mb: float
    runs: dict[str, list[Measured]] = field(default_factory=dict)

    def ratios(self) -> list[float]:
        """Return each pair's ratio of wall times, ours to the baseline's."""
        pairs = zip(self.runs[OURS], self.runs[BASELINE], strict=True)
        return [ours.elapsed_s / theirs.elapsed_s for ours, theirs in pairs]


def machine(postgres: str) -> dict[str, str]:
    """Return what the figures depend on."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return {
        "cores": str(os.cpu_count()),
        "processor": model[1] if model else platform.machine(),
        "memory": f"{int(memory[1]) / 1024 / 1024:.0f} GiB" if memory else "unknown",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgres": postgres,
    }


def spread(values: Sequence[float], digits: int) -> str:
    """Return median and range, such as ``25.9 (21.0 to 27.3)``."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def table(scenario: Scenario) -> str:
    """Return a scenario's figures as Markdown."""
    rows = [
        f"## {scenario.title}\n",
        f"{scenario.size_mb:.0f} MB; {len(scenario.ratios())} pairs, alternating.\n",
        "| | wall s, median (range) | client CPU s | peak memory MB |",
        "|---|---|---|---|",
    ]
    for name, runs in scenario.runs.items():
        wall = spread([run.elapsed_s for run in runs], 1)
        cpu = spread([run.cpu_s for run in runs], 1)
        memory = max(run.peak_memory_mb for run in runs)
        rows.append(f"| {name} | {wall} | {cpu} | {memory:.0f} |")
    ratios = scenario.ratios()
    listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    rows.append(
        f"\nRatio per pair: {listed}; median {spread(ratios, 2)}. Aim: at most {scenario.aim:g}."
    )
    return "\n".join(rows)


def page(scenarios: Sequence[Scenario], described: dict[str, str], command: str) -> str:
    """Return the whole result as Markdown."""
    lines = [
        "# pg_clone against pg_dump and pg_restore\n",
        f"{datetime.now(UTC):%Y-%m-%d}, by `{command}`. "
        + ", ".join(f"{key} {value}" for key, value in described.items())
        + ".\n",
        "`pg_clone` is one task of `ansible-playbook`, Ansible's start included. The other is"
        " `pg_dump -Fd -j2 -Z0`, `pg_restore -j4`, `vacuumdb --analyze-only -j2`. Both by TLS,"
        " fsync on, wal_level logical; both servers and all clients share the machine.\n",
    ]
    return "\n".join([*lines, "\n\n".join(table(scenario) for scenario in scenarios)]) + "\n"


def write(
    folder: Path, scenarios: Sequence[Scenario], described: dict[str, str], command: str
) -> Path:
    """Write <date>.md and <date>.json into ``folder``; return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{datetime.now(UTC):%Y-%m-%d}"
    path = folder / f"{name}.md"
    path.write_text(page(scenarios, described, command))
    content: dict[str, Any] = {"machine": described, "command": command, "scenarios": []}
    for scenario in scenarios:
        content["scenarios"].append({**asdict(scenario), "ratios": scenario.ratios()})
    path.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    return path
