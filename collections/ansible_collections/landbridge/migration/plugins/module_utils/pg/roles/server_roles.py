# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The roles of one server brought to another: read the source, change the target, set passwords."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from ..connection import connect
from ..finding import Finding
from . import role_apply, role_passwords, roles
from .role_plan import Change, Create, Wanted, mapped


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done (in check mode, is due), and what a person must know."""

    roles: list[str]
    memberships_count: int
    changes: list[dict[str, Any]]
    findings: list[Finding]


def converge(params: Mapping[str, Any], *, check_mode: bool) -> Outcome:
    """Make the target's roles as ``databases`` of the source need them.

    :param params: ``source``, ``target``, ``databases``, ``role_map`` and ``passwords``, as module
        pg_roles takes them.
    """
    source, target, passwords = params["source"], params["target"], params["passwords"]
    with connect("source", source) as conn:
        found = roles.read(conn)
        needed = roles.read_needed(conn, params["databases"], found)
    role_map = {source["user"]: target["user"], **params["role_map"]}
    wanted = mapped(found, needed, role_map)
    with connect("target", target) as conn:
        planned = role_apply.converge(conn, wanted, check_mode=check_mode)
        made = {change.role.rolname: change.role for change in planned.changes if _creates(change)}
        done = role_passwords.converge(
            conn,
            target,
            _concerned(passwords, wanted, found, role_map),
            {**roles.read(conn).roles, **made},
            new=made.keys(),
            check_mode=check_mode,
        )
    without = role_passwords.missing(wanted.roles.values(), {target["user"]: "", **passwords})
    return Outcome(
        sorted(wanted.roles),
        len(wanted.memberships),
        [*map(role_apply.describe, planned.changes), *map(_password_set, done.changed)],
        [*planned.findings, *done.findings, *without],
    )


def _concerned(
    passwords: Mapping[str, str],
    wanted: Wanted,
    source: roles.Roles,
    role_map: Mapping[str, str | None],
) -> dict[str, str]:
    """Return the passwords without those of the source's roles that other databases need."""
    others = {role_map.get(rolname, rolname) for rolname in source.roles} - wanted.roles.keys()
    return {rolname: secret for rolname, secret in passwords.items() if rolname not in others}


def _creates(change: Change) -> TypeGuard[Create]:
    return isinstance(change, Create)


def _password_set(rolname: str) -> dict[str, Any]:
    return {"role": rolname, "what": "password", "before": "another", "after": "as given"}
