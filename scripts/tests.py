#!/usr/bin/env python3
"""Run the checks and tests named on the command line, as many at once as there are cores.

    scripts/tests.py all | check | PART… [-- ARGUMENTS of the part's own command]

One part alone writes straight to the terminal; of several, each one's output is shown whole when
it ends. The closing lines give each part's time and the sum of what pytest counted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "test"
PYTEST = ("pytest", "--quiet", "--tb=short", "--durations=5", "--durations-min=5")
ON_SERVERS = ("localcloud", "sample", "integration", "report")
PARALLEL = ("-n", "2", "--dist", "loadgroup")

# pytest's closing line, with or without its frame of "=".
CLOSING = re.compile(r"^=*\s*((?:\d+ [a-z]+,? ?)+) in [\d.:]+s")
COUNTS = ("passed", "failed", "skipped", "error", "errors", "xfailed", "xpassed")


@dataclass(frozen=True)
class Part:
    """One command of the test run."""

    name: str
    command: tuple[str, ...]
    cores: int = 1
    groups: frozenset[str] = field(default_factory=frozenset)


def parts() -> list[Part]:
    """Return every part, in the order of starting.

    First those for one core, the longest first: two always find a place side by side. Those for
    all cores come after, one by one.
    """
    check = frozenset({"check", "all"})
    rest = frozenset({"all"})
    on_servers = [f"tests/{name}" for name in ON_SERVERS if (ROOT / "tests" / name).is_dir()]
    return [
        Part("contract-slow", (*PYTEST, "-m", "slow", "tests/contract"), 1, rest),
        Part("molecule", ("scripts/molecule",), 1, rest),
        Part("contract", (*PYTEST, "-m", "not slow", "tests/contract"), groups=check),
        Part("ansible-lint", ("ansible-lint", "--offline", "--nocolor", "-q"), groups=check),
        Part("mypy", ("mypy",), groups=check),
        Part("unit", (*PYTEST, "tests/unit"), groups=check),
        Part("yamllint", ("yamllint", "--strict", "."), groups=check),
        Part("ruff", ("ruff", "check", "--quiet"), groups=check),
        Part("ruff-format", ("ruff", "format", "--check", "--quiet"), groups=check),
        Part("e2e", (*PYTEST, *PARALLEL, "tests/e2e"), 2, rest),
        Part("integration", (*PYTEST, *PARALLEL, *on_servers), 2, rest),
        Part("fault", (*PYTEST, *PARALLEL, "tests/faults"), 2, rest),
    ]


@dataclass(frozen=True)
class Outcome:
    """How a part ended."""

    name: str
    code: int
    elapsed_s: float
    counts: Counter[str]


class Cores:
    """So many cores, lent out in the order of asking."""

    def __init__(self, count: int) -> None:
        self.count = self._free = count
        self._changed = Condition()

    @contextmanager
    def lent(self, wanted: int) -> Iterator[None]:
        wanted = min(wanted, self.count)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


def run_logged(part: Part, printing: Lock) -> Outcome:
    """Run a part into its log, then show the log whole."""
    log = LOGS / f"{part.name}.log"
    started = time.monotonic()
    with log.open("w") as output:
        code = subprocess.run(
            part.command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False
        ).returncode
    text = log.read_text(errors="replace")
    outcome = Outcome(part.name, code, time.monotonic() - started, counted(text))
    with printing:
        print(f"\n── {part.name}: {verdict(outcome)} ({outcome.elapsed_s:.1f} s)", flush=True)
        if text.strip():
            print(text.rstrip(), flush=True)
    return outcome


def counted(text: str) -> Counter[str]:
    """Return what pytest's closing lines in ``text`` count."""
    total: Counter[str] = Counter()
    for line in text.splitlines():
        if closing := CLOSING.match(line):
            for number, word in re.findall(r"(\d+) ([a-z]+)", closing[1]):
                if word in COUNTS:
                    total["error" if word == "errors" else word] += int(number)
    return total


def verdict(outcome: Outcome) -> str:
    return "passed" if outcome.code == 0 else f"FAILED (exit {outcome.code})"


def run_many(chosen: list[Part]) -> list[Outcome]:
    """Run the parts side by side within the machine's cores."""
    LOGS.mkdir(parents=True, exist_ok=True)
    cores, printing = Cores(os.cpu_count() or 1), Lock()

    def one(part: Part) -> Outcome:
        with cores.lent(part.cores):
            with printing:
                print(f"── {part.name}: started", flush=True)
            return run_logged(part, printing)

    with ThreadPoolExecutor(len(chosen)) as pool:
        return list(pool.map(one, chosen))


def summary(outcomes: list[Outcome], elapsed_s: float) -> str:
    total = sum((outcome.counts for outcome in outcomes), Counter())
    failed = total["failed"] + total["error"]
    # A part without a count of its own (a linter, molecule) counts as one.
    for outcome in outcomes:
        if not outcome.counts:
            total["passed"] += outcome.code == 0
            failed += outcome.code != 0
    lines = [f"  {o.name:<12} {o.elapsed_s:7.1f} s  {verdict(o)}" for o in outcomes]
    lines.append(f"  {'in all':<12} {elapsed_s:7.1f} s")
    lines.append(f"{total['passed']} passed, {failed} failed, {total['skipped']} skipped")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    names, more = split(arguments)
    known = parts()
    chosen = [part for part in known if part.name in names or part.groups & set(names)]
    words = {"all", "check", *(part.name for part in known)}
    if not chosen or set(names) - words:
        print(f"tests.py: name some of: {' '.join(sorted(words))}", file=sys.stderr)
        return 2
    if len(chosen) == 1:
        return subprocess.run((*chosen[0].command, *more), cwd=ROOT, check=False).returncode
    started = time.monotonic()
    outcomes = run_many(chosen)
    print("\n" + summary(outcomes, time.monotonic() - started), flush=True)
    return int(any(outcome.code for outcome in outcomes))


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return what stands before and after ``--``."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
