# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When two spellings of a server parameter's value mean the same (Postgres, chapter 19.1).

A provider answers in its own spelling: ``on`` for true, ``1GB`` or ``1024MB``. Comparing text
would change the parameter, and with some restart the server, on each run.
"""

from __future__ import annotations

import re

BYTES = {"B": 1, "kB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
MICROSECONDS = {
    "us": 1,
    "ms": 10**3,
    "s": 10**6,
    "min": 6 * 10**7,
    "h": 36 * 10**8,
    "d": 864 * 10**8,
}

QUANTITY = re.compile(r"([+-]?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)\s*([A-Za-z]*)")

# Postgres takes any unambiguous prefix; these are what people and providers write.
SPELLINGS = {"true": "on", "yes": "on", "false": "off", "no": "off"}


def text(value: object) -> str:
    """Return ``value`` (of YAML: a bool, number or text) as Postgres writes it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def same(one: str, other: str) -> bool:
    """Tell if two spellings are one value. A number without a unit equals only its like."""
    return _canonical(one) == _canonical(other)


def _canonical(value: str) -> tuple[str, object]:
    value = value.strip()
    if found := QUANTITY.fullmatch(value):
        number, unit = float(found[1]), found[2]
        if unit in BYTES:
            return "bytes", number * BYTES[unit]
        if unit in MICROSECONDS:
            return "us", number * MICROSECONDS[unit]
        if not unit:
            return "number", number
    if "," in value:
        return "list", tuple(item.strip() for item in value.split(","))
    return "text", SPELLINGS.get(value.lower(), value)
