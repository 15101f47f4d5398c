# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One name at a pooler, brought to a state and a route: read, plan, apply, read again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import NotConvergedError
from ..pg.finding import Finding
from .findings import FILE_DIFFERS
from .pooler import NOWHERE, Pooler, Route


@dataclass(frozen=True, slots=True)
class Done:
    """What was found, what is so now (in check mode, would be), and how long each step took."""

    before: Route
    after: Route
    findings: list[Finding]
    evidence: dict[str, float]


def plan(before: Route, state: str | None, route: Mapping[str, Any] | None) -> Route:
    """Return the route that is wanted; with no pooler, there is none to want."""
    if before == NOWHERE:
        return before
    wanted = replace(before, **route) if route else before
    return replace(wanted, paused=wanted.paused if state is None else state == "paused")


def converge(
    pooler: Pooler,
    name: str,
    *,
    state: str | None,
    route: Mapping[str, Any] | None,
    timeout_s: float,
    check_mode: bool,
) -> Done:
    """Pause, switch and resume as far as it is wanted. Raise NotConvergedError if it did not."""
    before = pooler.read(name)
    wanted = plan(before, state, route)
    findings = pooler.findings(name, timeout_s)
    misled = any(finding.code == FILE_DIFFERS for finding in findings) and route is not None
    if check_mode or (wanted == before and not misled):
        return Done(before, wanted, findings, {})
    steps: dict[str, Callable[[], None]] = {}
    if wanted.paused:
        steps["pause"] = lambda: pooler.pause(name, timeout_s)
    if misled or not before.leads_to(wanted.host, wanted.port, wanted.dbname):
        steps["switch"] = lambda: pooler.switch(name, wanted.host, wanted.port, wanted.dbname)
    if not wanted.paused:
        steps["resume"] = lambda: pooler.resume(name)
    evidence = {f"{step}_ms": _timed(act) for step, act in steps.items()}
    pooler.settle(name)
    after = pooler.read(name)
    if after != wanted:
        raise NotConvergedError(
            f"pooler: {name} leads to {after.host}:{after.port}/{after.dbname} and is"
            f" {'paused' if after.paused else 'not paused'} after it was told otherwise",
            hint="Look whether somebody else steers the pooler, and run again.",
        )
    return Done(before, after, findings, evidence)


def _timed(act: Callable[[], None]) -> float:
    began = time.monotonic()
    act()
    return round(1000 * (time.monotonic() - began), 1)
