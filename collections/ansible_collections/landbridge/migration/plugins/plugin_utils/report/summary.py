# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ends a run's output: a line a database, as wide as it must be, and a line a failure."""

from __future__ import annotations

from . import shape
from .page import dash

HEAD = ("database", "rows", "size", "copied in", "rate", "compared", "writers stopped")
FAILURES = 10
LONGEST = 300
VERIFIED = {True: "equal", False: "DIFFERENT", None: "not yet"}


def table(report: shape.Report) -> list[str]:
    """Return the lines, or none if no database was copied or compared."""
    rows = [_row(database) for database in report["databases"]]
    if not rows:
        return []
    if len(rows) > 1:
        rows.append(_together(report["summary"]))
    grid = [HEAD, *rows]
    widths = [max(len(row[column]) for row in grid) for column in range(len(HEAD))]
    return [_line(row, widths) for row in grid]


def failures(report: shape.Report) -> list[str]:
    """Return a line for each failure that ended a host's run."""
    ended = [failure for failure in report["failures"] if not failure["handled"]]
    lines = [_failure(failure) for failure in ended[:FAILURES]]
    more = len(ended) - len(lines)
    return [*lines, f"failed: {more} more, in the report"] if more else lines


def _failure(failure: shape.Failure) -> str:
    where = f"{failure['host']} at {failure['stage']}" if failure["stage"] else failure["host"]
    text = _printable(f"failed: {where}: {failure['message']} {failure['remedy']}".strip())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _row(database: shape.Database) -> tuple[str, ...]:
    return (
        _printable(database["host"]),
        dash(database["rows"], "count"),
        dash(database["bytes"], "size"),
        dash(database["seconds"], "duration"),
        dash(database["bytes_per_s"], "rate"),
        VERIFIED[database["verified"]],
        dash(database["window_s"], "duration"),
    )


def _together(summary: shape.Summary) -> tuple[str, ...]:
    return (
        "together",
        dash(summary["rows"], "count"),
        dash(summary["bytes"], "size"),
        dash(summary["copy_s"], "duration"),
        dash(summary["bytes_per_s"], "rate"),
        f"{summary['databases_verified']} of {summary['databases']}",
        dash(summary["window_s"], "duration"),
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [
        cell.ljust(width) if column in (0, 5) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
