"""What the sample's commands found, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .load import Loaded
from .writers import Status

KINDS = ["lost", "doubled", "torn", "risen"]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned lines, the first one their heads; all but the first column right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [text.rjust(width) for text, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)


def loaded(databases: Sequence[Loaded]) -> str:
    """Return what was loaded."""
    heads = ["database", "MB", "seconds", ""]
    rows = [
        [each.dbname, f"{each.bytes / 1e6:.0f}", f"{each.elapsed_s:.1f}", _changed(each)]
        for each in databases
    ]
    return table([heads, *rows])


def _changed(each: Loaded) -> str:
    return "loaded" if each.changed else "there already"


def status(writers: Sequence[Status]) -> str:
    """Return what the writers do."""
    heads = ["service", "pid", "writes to", "acknowledged", "unknown", "errors", "state"]
    rows = [
        [
            each.name, str(each.pid or "-"), each.address or "-", f"{each.acknowledged:,}",
            str(each.unknown), f"{each.errors:,}", _state(each),
        ]
        for each in writers
    ]  # fmt: skip
    return table([heads, *rows])


def _state(each: Status) -> str:
    if each.pid is None:
        return "stopped"
    return f"refused since {each.refused_since:%H:%M:%S}" if each.refused_since else "writing"


def ledger(databases: Sequence[Mapping[str, Any]]) -> str:
    """Return the checks (as check.describe() has them), and a line for each thing wrong."""
    heads = [
        "service", "acknowledged", "lost", "doubled", "unknown", "errors", "longest wait",
        "longest outage", "",
    ]  # fmt: skip
    rows = [
        [
            each["name"], f"{each['acknowledged']:,}", str(each["lost_count"]),
            str(each["doubled_count"]), str(each["unknown"]), f"{each['errors_count']:,}",
            f"{each['longest_wait_ms'] / 1000:.3f} s", _outage(each["longest_outage"]),
            "passed" if each["passed"] else "FAILED",
        ]
        for each in databases
    ]  # fmt: skip
    wrong = [line for each in databases for line in _wrong(each)]
    return "\n".join([table([heads, *rows]), *wrong])


def _outage(outage: Mapping[str, Any] | None) -> str:
    if outage is None:
        return "none"
    return "not ended" if outage["seconds"] is None else f"{outage['seconds']:.3f} s"


def _wrong(each: Mapping[str, Any]) -> list[str]:
    lines = [f"{each['name']}: {kind}: {key}" for kind in KINDS for key in each[kind]]
    lines += [f"{each['name']}: {text}: {value}" for text, value in each["broken"].items()]
    if each["damaged_lines"]:
        lines.append(f"{each['name']}: {each['damaged_lines']} damaged lines in the ledger")
    return lines
