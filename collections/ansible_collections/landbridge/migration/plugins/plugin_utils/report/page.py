# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turn report.json into one HTML page that needs nothing else: no script, no network, no font."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from .. import figures
from . import moments, shape, timeline

LAST_STAGE = "smoke"
TITLES = {
    "preflight": "Both sides are fit for the migration",
    "postgres": "Server, databases and roles exist on the target",
    "window": "The source takes no more writes",
    "dataxfer": "Every row is on the target",
    "verify": "Source and target are equal",
    "gate": "Someone said go to this evidence",
    "cutover": "The target serves",
    "smoke": "The critical paths work",
    "finalize": "The way back is closed",
}
NAMES = ("port", "oid", "pid")  # numbers that name something and count nothing
QUOTED = re.compile(r"`([^`]+)`")
OLDEST_VERSION_NUM = 100000  # server_version_num of Postgres 10
GLOSSARY = {"ms": "milliseconds", "s": "second", "lsn": "LSN", "oid": "OID", "id": "ID"}


def render(report: shape.Report) -> str:
    """Return the page. Everything that comes from outside is escaped."""
    return _template().render(
        report=report,
        line=timeline.lay_out(report["stages"]),
        headline=headline(report),
        titles=TITLES,
    )


def headline(report: shape.Report) -> str:
    """Return where the migration stands, in a sentence."""
    stands = _stands(report)
    return f"Rehearsal: {stands}" if report["run"]["kind"] == "rehearsal" else stands


def _stands(report: shape.Report) -> str:
    reached = [stage["stage"] for stage in report["stages"] if stage["state"] == "reached"]
    due = [stage["stage"] for stage in report["stages"] if stage["state"] != "reached"]
    failed = next((s["stage"] for s in report["stages"] if s["state"] == "failed"), None)
    if report["run"]["outcome"] == "failed":
        return f"Stopped at {failed}." if failed else "The run failed."
    if report["run"]["outcome"] == "running":
        return "The run is going on, or was killed: this is what it had reached."
    if not reached:
        return "No stage is reached yet."
    if due:
        return f"Reached {reached[-1]}; next is {due[0]}."
    return "Every stage is reached." if LAST_STAGE in reached else f"Reached {reached[-1]}."


def words(key: str) -> str:
    """Return a key of evidence as words; `scalar` shows the unit that its ending names."""
    text = key if key.endswith("per_s") else key.removesuffix("_s")
    return " ".join(GLOSSARY.get(word, word) for word in text.split("_"))


def scalar(value: Any, key: str = "") -> str:
    """Return a value of evidence as text; its key's ending tells the unit."""
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(value, key)
    return str(value) if isinstance(value, str) or value else "none"


def _number(value: float, key: str) -> str:
    if key in NAMES or key.endswith("_id"):
        return str(value)
    if key.endswith("bytes_per_s"):
        return figures.rate(value)
    if not key.endswith("per_s") and (key.endswith("_s") or key == "seconds"):
        return figures.duration(value)
    if key == "bytes" or key.endswith("_bytes"):
        return figures.size(value)
    if key.endswith("version") and value >= OLDEST_VERSION_NUM:
        return f"{value // 10000:.0f}.{value % 10000:.0f}"
    return f"{value:,}"


def tidy(found: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the items without the counts of lists that are all there."""
    counted = {f"{key}_count": len(item) for key, item in found.items() if isinstance(item, list)}
    return [(key, item) for key, item in found.items() if counted.get(key, ...) != item]


def flat(found: dict[str, Any]) -> bool:
    """Tell if every value fits into a line."""
    return not any(isinstance(item, dict | list) and item for item in found.values())


def code(text: str) -> Markup:
    """Return the text, what stands in backquotes as code."""
    parts = QUOTED.split(text)  # every second one stood in backquotes
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if n % 2 else escape(part)
        for n, part in enumerate(parts)
    )


def clock(text: str | None) -> str:
    return text[11:19] if text else "—"


def day(text: str | None) -> str:
    return text[:10] if text else "—"


def moment(text: str | None) -> str:
    return f"{day(text)} {clock(text)}" if text else "—"


def clock_at(seconds: float) -> str:
    return clock(moments.iso(seconds))


def day_at(seconds: float) -> str:
    return moments.iso(seconds)[5:10]


def dash(value: float | None, unit: str) -> str:
    """Return a figure in its unit, or a dash if it is not known."""
    if value is None:
        return "—"
    return {
        "count": lambda: f"{value:,.0f}",
        "size": lambda: figures.size(value),
        "rate": lambda: figures.rate(value),
        "duration": lambda: figures.duration(value),
    }[unit]()


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        words=words,
        tidy=tidy,
        code=code,
        scalar=scalar,
        clock=clock,
        day=day,
        moment=moment,
        clock_at=clock_at,
        day_at=day_at,
        show=dash,
        duration=figures.duration,
    )
    environment.tests["flat"] = flat
    source = Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(source)
