# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings that a database carries: ALTER DATABASE … SET, and ALTER ROLE … IN DATABASE … SET."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from ..text import ident, literal
from .findings import Finding
from .statements import try_all

if TYPE_CHECKING:
    from psycopg import Connection

READ = """\
SELECT coalesce(rolname, ''), unnest(setconfig)
  FROM pg_db_role_setting
  JOIN pg_database ON pg_database.oid = setdatabase
  LEFT JOIN pg_roles ON pg_roles.oid = setrole
 WHERE datname = current_database()"""

# GUC_LIST_QUOTE in guc_tables.c: their value is a list whose items are quoted already.
LISTS = frozenset(
    {"search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries"}
)
STANDARD_PATH = '"$user", public'

# A database that was closed to writers is meant to be written to on its new server.
CLOSED = "default_transaction_read_only"

Settings: TypeAlias = Mapping[tuple[str, str], str]


def read(conn: Connection) -> Settings:
    """Return the database's own settings: (role or '', name) to value."""
    found = {}
    for role, text in conn.execute(READ):
        name, _unused, value = text.partition("=")
        found[role, name] = value
    return found


def search_path(settings: Settings) -> str:
    """Return the path that sessions of this database start with, as SET wants it."""
    return settings.get(("", "search_path"), STANDARD_PATH)


def plan(
    wanted: Settings, found: Settings, dbname: str, role_map: Mapping[str, str | None]
) -> list[str]:
    """Return the statements that give the target what it lacks of the source's settings."""
    return list(_statements(wanted, found, dbname, role_map))


def _statements(
    wanted: Settings, found: Settings, dbname: str, role_map: Mapping[str, str | None]
) -> Iterator[str]:
    for (role, name), value in sorted(wanted.items()):
        mapped = role_map.get(role, role) if role else ""
        if name == CLOSED or mapped is None or found.get((mapped, name)) == value:
            continue
        whose = f"ROLE {ident(mapped)} IN " if mapped else ""
        shown = value if name in LISTS else literal(value)
        yield f"ALTER {whose}DATABASE {ident(dbname)} SET {ident(name)} TO {shown or literal('')}"


def converge(
    wanted: Settings, target: Connection, role_map: Mapping[str, str | None]
) -> list[Finding]:
    """Make the target carry the source's settings. Return what could not be."""
    dbname = target.info.dbname
    problems = try_all(target, plan(wanted, read(target), dbname, role_map))
    remedy = "Set it with the provider's own means, or leave it."
    findings = [
        Finding("setting_not_set", each["statement"], each["message"], remedy) for each in problems
    ]
    if wanted.get(("", CLOSED)):
        message = "the source is closed to writers by this setting; the target is not"
        findings.append(Finding("setting_left_out", CLOSED, message, severity="note"))
    return findings
