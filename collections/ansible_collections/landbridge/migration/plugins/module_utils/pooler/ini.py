# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database's line in PgBouncer's file, changed and nothing else with it.

The format is that of libusual's cfparser.c and of PgBouncer's loader.c: a key and a connection
string up to the end of the line, values in single quotes or without, the last one wins. A file
that another includes may begin without a section.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import PreconditionError

SECTION = re.compile(r"\s*\[([^\]\n]*)\]")
KEY = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([A-Za-z0-9_.*-]+))[ \t]*=[ \t]*', re.ASCII)
PAIR = re.compile(r"([^\s=]+)[ \t]*=[ \t]*('(?:[^']|'')*'|[^ \t]*)")
PLAIN = re.compile(r"[^\s']+")

DEFAULT_PORT = 5432


class Target(NamedTuple):
    """Where a name leads."""

    host: str
    port: int
    dbname: str


class _Line(NamedTuple):
    """The connection string's place in the file's text."""

    start: int
    end: int


def read(text: str, name: str) -> Target | None:
    """Return where the file lets ``name`` lead, or None if it has no line for it."""
    line = _find(text, name)
    if line is None:
        return None
    pairs = {key: _unquoted(value) for key, value in PAIR.findall(text[line.start : line.end])}
    port = pairs.get("port", "")
    return Target(
        pairs.get("host", ""),
        int(port) if port.isdecimal() else DEFAULT_PORT,
        pairs.get("dbname", name),
    )


def edited(text: str, name: str, target: Target) -> str:
    """Return the file's text with ``name`` leading to ``target``; all else stays as it is.

    Raise PreconditionError if the file has no line for it.
    """
    line = _find(text, name)
    if line is None:
        raise PreconditionError(
            f"pooler: the file has no line for database {name} in [databases]",
            hint="Name the file that has the line, or give the database one of its own.",
        )
    if read(text, name) == target:
        return text
    return text[: line.start] + _repointed(text[line.start : line.end], target) + text[line.end :]


def _repointed(connstr: str, target: Target) -> str:
    wanted = {"host": target.host, "port": str(target.port), "dbname": target.dbname}

    def replaced(found: re.Match[str]) -> str:
        key = found[1]
        return f"{key}={_quoted(wanted[key])}" if key in wanted else found[0]

    present = {key for key, _ in PAIR.findall(connstr)}
    missing = [f"{key}={_quoted(value)}" for key, value in wanted.items() if key not in present]
    return " ".join([PAIR.sub(replaced, connstr), *missing]).strip()


def _find(text: str, name: str) -> _Line | None:
    """Return the last line of ``name``, as PgBouncer does."""
    found = None
    for key, line in _databases(text):
        if key == name:
            found = line
    return found


def _databases(text: str) -> Iterator[tuple[str, _Line]]:
    section, start = "databases", 0
    for line in text.splitlines(keepends=True):
        if heading := SECTION.match(line):
            section = heading[1]
        elif section == "databases" and (key := KEY.match(line)):
            name = key[2] if key[1] is None else key[1].replace('""', '"')
            yield name, _Line(start + key.end(), start + len(line.rstrip()))
        start += len(line)


def _quoted(value: str) -> str:
    return value if PLAIN.fullmatch(value) else "'" + value.replace("'", "''") + "'"


def _unquoted(value: str) -> str:
    return value[1:-1].replace("''", "'") if value.startswith("'") else value
