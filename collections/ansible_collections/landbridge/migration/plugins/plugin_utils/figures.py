# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Figures as people read them: rows, bytes, rates and durations.

Units of bytes are decimal (1 MB = 1,000,000 bytes), as links and clouds count, so that a size
divided by a rate in MB/s gives seconds.
"""

from __future__ import annotations

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
MINUTE, HOUR, DAY = 60, 3600, 86400


def _unit(size: float) -> int:
    """Return the index of the largest unit in which `size` is at least 1."""
    index = 0
    while size >= 999.5 and index < len(UNITS) - 1:
        size /= 1000
        index += 1
    return index


def _in_unit(size: float, index: int) -> str:
    """Return `size` in that unit, with one decimal below 10."""
    value = size / 1000**index
    return f"{value:.1f}" if index and value < 9.95 else f"{value:.0f}"


def rows(count: int) -> str:
    """Return `1,234,567 rows`."""
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def size(count: float) -> str:
    """Return `640 MB`."""
    index = _unit(count)
    return f"{_in_unit(count, index)} {UNITS[index]}"


def size_of(done: float, total: float) -> str:
    """Return `210 of 640 MB`, both in the total's unit."""
    index = _unit(total)
    return f"{_in_unit(done, index)} of {_in_unit(total, index)} {UNITS[index]}"


def rate(bytes_per_s: float) -> str:
    """Return `118 MB/s`."""
    return f"{size(bytes_per_s)}/s"


def duration(seconds: float) -> str:
    """Return `420 ms`, `4.2 s`, `42 s`, `1 min 12 s`, `2 h 5 min` or `3 d 4 h`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return whole_duration(seconds)


def whole_duration(seconds: float) -> str:
    """Return the duration with nothing finer than a second: `4 s`, `1 min 12 s`."""
    left = round(seconds)
    if left < MINUTE:
        return f"{left} s"
    if left < HOUR:
        return f"{left // MINUTE} min {left % MINUTE} s"
    if left < DAY:
        return f"{left // HOUR} h {left % HOUR // MINUTE} min"
    return f"{left // DAY} d {left % DAY // HOUR} h"
