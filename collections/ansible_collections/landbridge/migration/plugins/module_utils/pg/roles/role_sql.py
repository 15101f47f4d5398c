# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The SQL of each change to a role."""

from __future__ import annotations

import re

from .role_plan import ATTRIBUTES, Alter, Change, Comment, Configure, Create, Join, attributes

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

# GUC_LIST_QUOTE (guc_tables.c): each element is written as a literal of its own, or the whole
# list would become one element's name.
QUOTED_LISTS = frozenset(
    {"local_preload_libraries", "search_path", "session_preload_libraries", "temp_tablespaces"}
)
ELEMENT = re.compile(r'"((?:[^"]|"")*)"|([^",\s]+)')


def statement(change: Change, version: int) -> sql.Composed:
    """Return the SQL that makes the change on a server of this major."""
    match change:
        case Create(role):
            return sql.SQL("CREATE ROLE {} {}").format(
                sql.Identifier(role.rolname), _words(attributes(role))
            )
        case Alter(rolname, _, after):
            return sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(rolname), _words(after))
        case Configure(rolname, parameter, _, value):
            return sql.SQL("ALTER ROLE {} SET {} TO {}").format(
                sql.Identifier(rolname), _parameter(parameter), _value(parameter, value)
            )
        case Comment(rolname, _, text):
            return sql.SQL("COMMENT ON ROLE {} IS {}").format(
                sql.Identifier(rolname), sql.Literal(text)
            )
        case Join():
            return _grant_16(change) if version >= 16 else _grant(change)


def _words(attributes: dict[str, object]) -> sql.Composed:
    words: list[sql.Composable] = []
    for name, value in attributes.items():
        if name == "rolconnlimit":
            words.append(sql.SQL("CONNECTION LIMIT {}").format(value))
        elif name == "rolvaliduntil":
            words.append(sql.SQL("VALID UNTIL {}").format(sql.Literal(value or "infinity")))
        else:
            words.append(sql.SQL(("" if value else "NO") + ATTRIBUTES[name]))
    return sql.SQL(" ").join(words)


def _parameter(name: str) -> sql.Composed:
    # A custom parameter has a dot between two names.
    return sql.SQL(".").join(sql.Identifier(part) for part in name.split("."))


def _value(parameter: str, value: str) -> sql.Composed:
    elements = split_list(value) if parameter.lower() in QUOTED_LISTS else [value]
    return sql.SQL(", ").join(sql.Literal(element) for element in elements)


def split_list(value: str) -> list[str]:
    """Return the elements of a list as pg_db_role_setting keeps it: ``"$user", public``."""
    return [bare or quoted.replace('""', '"') for quoted, bare in ELEMENT.findall(value)] or [""]


def _grant_16(change: Join) -> sql.Composed:
    (role, member), _unused, options = change
    words = ", ".join(f"{name.upper()} {value}" for name, value in options._asdict().items())
    grant = sql.SQL("GRANT {} TO {} WITH " + words.upper())
    return grant.format(sql.Identifier(role), sql.Identifier(member))


def _grant(change: Join) -> sql.Composed:
    (role, member), before, options = change
    if before and before.admin and not options.admin:
        text = sql.SQL("REVOKE ADMIN OPTION FOR {} FROM {}")
    else:
        text = sql.SQL("GRANT {} TO {} WITH ADMIN OPTION" if options.admin else "GRANT {} TO {}")
    return text.format(sql.Identifier(role), sql.Identifier(member))
