# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Points in time: UTC, ISO 8601 to the millisecond outside, seconds since 1970 where counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any


def iso(moment: float) -> str:
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def seconds(text: Any) -> float | None:
    """Return the moment that the text names, or None if it names none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def normal(text: Any) -> str | None:
    """Return the moment in the report's own form."""
    moment = seconds(text)
    return None if moment is None else iso(moment)


def span(starts: list[str | None], ends: list[str | None]) -> float | None:
    """Return the seconds from the first start to the last end, or None if either is unknown."""
    first = [moment for text in starts if (moment := seconds(text)) is not None]
    last = [moment for text in ends if (moment := seconds(text)) is not None]
    return between(min(first), max(last)) if first and last else None


def between(start: float, end: float) -> float:
    """Return the seconds between; none if a clock was set back meanwhile."""
    return round(max(end - start, 0.0), 3)
