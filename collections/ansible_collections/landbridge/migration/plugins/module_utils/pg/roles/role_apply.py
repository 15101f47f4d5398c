# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Making a plan of roles true: one transaction, which a killed run leaves without a trace.

Roles are shared by all databases of a server, so runs for several databases meet here. An
advisory lock lets one after the other read, plan and write; it ends with the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import NotConvergedError
from ..finding import Finding
from . import role_findings, roles
from .role_plan import Change, Configure, Create, Join, Plan, Target, Wanted, attributes, plan
from .role_sql import statement

try:
    from psycopg import errors, sql
except ImportError:
    pass  # reported by connection.connect()
else:
    # What one role may meet and another not; anything else ends the run.
    REFUSALS = (
        errors.InsufficientPrivilege,
        errors.InvalidParameterValue,
        errors.UndefinedObject,
        errors.CantChangeRuntimeParam,
        errors.InvalidGrantOperation,
    )

if TYPE_CHECKING:
    from psycopg import Connection

LOCK = "SELECT pg_advisory_xact_lock(1279415122, 1919904869)"  # "LBMR", "role"

ADMINISTERED = """\
SELECT rolname
  FROM pg_roles
 WHERE pg_has_role(current_user, oid, 'MEMBER WITH ADMIN OPTION')"""

SETTABLE = "SELECT lower(name) FROM pg_settings WHERE context = 'user'"
SETTABLE_15 = """\
SELECT lower(name)
  FROM pg_settings
 WHERE context = 'user' OR (context = 'superuser' AND has_parameter_privilege(name, 'SET'))"""


def read_target(conn: Connection) -> Target:
    """Return the target's roles and what whoever is connected may do to them."""
    found = roles.read(conn)
    settable = conn.execute(SETTABLE_15 if found.version >= 15 else SETTABLE)
    return Target(
        found,
        conn.info.user,
        frozenset(row[0] for row in conn.execute(ADMINISTERED)),
        frozenset(row[0] for row in settable),
    )


def converge(conn: Connection, wanted: Wanted, *, check_mode: bool) -> Plan:
    """Make the roles as ``wanted``; return what was changed (in check mode, is due) and found."""
    with conn.transaction():
        conn.execute(LOCK)
        planned = plan(wanted, read_target(conn))
        if check_mode or not planned.changes:
            return planned
        refused = apply(conn, planned.changes)
        left_out = [change for change, _unused in refused]
        made = [change for change in planned.changes if change not in left_out]
        _prove(conn, wanted, left_out)
        return Plan(made, [*planned.findings, *(finding for _unused, finding in refused)])


def apply(conn: Connection, changes: Sequence[Change]) -> list[tuple[Change, Finding]]:
    """Make the changes in one round trip; return those that the server refused, if any.

    One statement that fails takes the batch with it, so that they are then made one by one.
    """
    version = conn.info.server_version // 10000
    statements = [statement(change, version) for change in changes]
    try:
        with conn.transaction():
            conn.execute(sql.SQL("; ").join(statements))
            return []
    except REFUSALS:
        pass
    refused: list[tuple[Change, Finding]] = []
    for change, one in zip(changes, statements, strict=True):
        try:
            with conn.transaction():
                conn.execute(one)
        except REFUSALS as exc:
            if isinstance(change, Create):
                raise
            reason = exc.diag.message_primary or str(exc)
            finding = role_findings.refused(_rolname(change), _what(change), reason)
            refused.append((change, finding))
    return refused


def _prove(conn: Connection, wanted: Wanted, refused: Sequence[Change]) -> None:
    left = [change for change in plan(wanted, read_target(conn)).changes if change not in refused]
    if left:
        raise NotConvergedError(
            f"target: {len(left)} changes of roles did not hold,"
            f" first {_what(left[0])} of {_rolname(left[0])}"
        )


def describe(change: Change) -> dict[str, object]:
    """Return the change as a module's result tells it."""
    told: dict[str, object] = {"role": _rolname(change), "what": _what(change)}
    match change:
        case Create(role):
            return {**told, "before": None, "after": attributes(role)}
        case Join(_, before, after):
            return {**told, "before": before and before._asdict(), "after": after._asdict()}
        case _:
            return {**told, "before": change.before, "after": change.after}


def _rolname(change: Change) -> str:
    match change:
        case Create(role):
            return role.rolname
        case Join(member):
            return member.member
        case _:
            return change.rolname


def _what(change: Change) -> str:
    match change:
        case Create():
            return "role"
        case Configure():
            return f"setting {change.parameter}"
        case Join():
            return f"membership in {change.member.role}"
        case _:
            return {"Alter": "attributes", "Comment": "comment"}[type(change).__name__]
