# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""May this role subscribe here, and as whom are changes written?

From version 16 on a subscription's worker becomes each table's owner for its changes, which its
own owner must be allowed to; or, with run_as_owner, it writes as that one, which then needs
privileges on every table and is held up by row security. What holds is found by looking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import PreconditionError

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

BECOMES_OWNER = 160000

# Made and rolled back: what a provider allows besides Postgres' own rules shows in no catalog.
PROBE = """\
CREATE SUBSCRIPTION landbridge_probe
  CONNECTION 'host=localhost password=none' PUBLICATION landbridge_probe
  WITH (connect = false, enabled = false, slot_name = NONE)"""

WRITERS = """\
SELECT nspname || '.' || relname AS name, pg_get_userbyid(relowner) AS owner,
       {becomes} AS becomes_owner,
       has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
         AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
         AND has_table_privilege(c.oid, 'TRUNCATE') AND NOT row_security_active(c.oid) AS writes
  FROM pg_class c
       JOIN pg_namespace n ON n.oid = relnamespace
       JOIN unnest(%s::text[], %s::text[]) AS wanted (nsp, rel)
         ON nsp = nspname AND rel = relname
 ORDER BY 1"""


def refusal(conn: Connection) -> str | None:
    """Return why the connection's role may not subscribe here, or None if it may."""
    try:
        with conn.transaction(force_rollback=True):
            conn.execute("SET LOCAL client_min_messages = error")
            conn.execute(PROBE)
    except psycopg.errors.InsufficientPrivilege as exc:
        return str(exc.diag.message_primary)
    return None


def require_subscriber(side: str, conn: Connection) -> None:
    """Raise PreconditionError if the connection's role may not subscribe here."""
    if (why := refusal(conn)) is None:
        return
    me = conn.info.user
    if conn.info.server_version >= BECOMES_OWNER:
        hint = f"GRANT pg_create_subscription TO {me}; and CREATE on the database."
    else:
        hint = "Before version 16 only superusers may, and whom the provider lets: use window mode."
    raise PreconditionError(f"{side}: {me} may not subscribe: {why}", hint=hint)


def run_as_owner(side: str, conn: Connection, tables: Sequence[tuple[str, str]]) -> bool:
    """Return whether changes are written as the subscription's owner, the connection's role.

    Raise PreconditionError if neither that role nor the tables' owners will do.
    """
    becomes = "true"
    if conn.info.server_version >= BECOMES_OWNER:
        becomes = "pg_has_role(relowner, 'SET')"
    names = [list(each) for each in zip(*tables, strict=True)] or [[], []]
    found = conn.execute(WRITERS.format(becomes=becomes).encode(), names).fetchall()
    others = [(name, owner) for name, owner, becomes_owner, _unused in found if not becomes_owner]
    if not others:
        return False
    if all(writes for *_unused, writes in found):
        return True
    name, owner = others[0]
    raise PreconditionError(
        f"{side}: {conn.info.user} may not write {name} as its owner {owner}",
        hint=f'GRANT "{owner}" TO "{conn.info.user}";',
    )
