# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fence: what keeps every writer away from a database, and lets them in again.

A fence takes the CONNECT privilege from everyone but the roles kept, then ends the sessions that
are left. ``default_transaction_read_only`` will not do: any session can switch it off, and a
transaction in flight commits after the position was taken. ``CONNECTION LIMIT 0`` will not do:
it locks the owner out as well.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import NotConvergedError, PreconditionError
from ...waiting import Deadline, pauses, wait_for
from .access import Access, Record, apply, encode, plan_fenced, plan_open, read, standing

if TYPE_CHECKING:
    from psycopg import Connection

ADMITTED = """\
SELECT rolname, rolsuper
  FROM pg_roles
 WHERE rolcanlogin AND rolname <> ALL (%s)
   AND (rolsuper OR has_database_privilege(oid, current_database(), 'CONNECT'))
 ORDER BY rolname"""

SESSIONS = """\
SELECT pid, usename, application_name, coalesce(client_addr::text, 'local'), state
  FROM pg_stat_activity
 WHERE datname = current_database() AND usename <> ALL (%s)
   AND backend_type IN ('client backend', 'walsender')
 ORDER BY pid"""

PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY gid"

TERMINATE = "SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid"

POSITION = """\
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
            ELSE pg_current_wal_insert_lsn() END::text"""


class Session(NamedTuple):
    pid: int
    usename: str
    application_name: str
    client_addr: str
    state: str | None

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.usename}, {self.application_name or 'no application_name'})"


def admitted(conn: Connection, keep: Collection[str]) -> tuple[list[str], list[str]]:
    """Return the login roles beyond ``keep`` that may still connect, and the superusers."""
    rows = conn.execute(ADMITTED, [list(keep)]).fetchall()
    return [name for name, rolsuper in rows if not rolsuper], [n for n, s in rows if s]


def sessions(conn: Connection, keep: Collection[str]) -> list[Session]:
    """Return the sessions in the database that do not belong to a role of ``keep``."""
    return [Session(*row) for row in conn.execute(SESSIONS, [list(keep)])]


def expel(conn: Connection, keep: Collection[str], deadline: Deadline) -> int:
    """End every session in the database but those of ``keep``; return how many there were.

    Raise DeadlineError, naming the sessions left, if they do not end in time.
    """
    seen: set[int] = set()

    def terminate() -> list[Session]:
        if left := sessions(conn, keep):
            seen.update(session.pid for session in left)
            conn.execute(TERMINATE, [[session.pid for session in left]])
        return left

    wait_for(
        terminate,
        lambda left: not left,
        what="the end of every writer's session",
        deadline=deadline,
        last_seen=lambda left: ", ".join(map(str, left[:5])),
        between=pauses(0.01, 0.5),
    )
    return len(seen)


def converge_fenced(
    conn: Connection,
    keep: Collection[str],
    deadline: Deadline,
    *,
    check_mode: bool,
    returning: Record | None = None,
    note: str | None = None,
) -> dict[str, Any]:
    """Fence the database and prove it; return changes and evidence.

    :param returning: what opening gives back, if not the privileges that are.
    :param note: kept with the record of a fence put up now; one that stands keeps its own.

    Raise PreconditionError if the role may not fence, or another role would pass the fence.
    """
    access = read(conn)
    kept = sorted({access.me, *keep})
    changes = plan_fenced(access, keep)
    due = bool(changes) or access.record is None
    record = access.record or replace(returning or access.before, since=access.read_at, note=note)
    if check_mode:
        return {"changes": changes, "due": due, "evidence": standing(access.record)}
    if due:
        _require_ownership(access)
        apply(conn, changes, encode(record))
    _require_no_passage(conn, access, kept)
    terminated = expel(conn, kept, deadline)
    _require_no_prepared(conn)
    return {
        "changes": changes,
        "due": due or terminated > 0,
        "evidence": {
            **standing(read(conn).record),
            "may_connect": kept,
            "superusers": admitted(conn, kept)[1],
            "sessions_terminated": terminated,
            "sessions": len(sessions(conn, kept)),
            "prepared_transactions": 0,
            "barrier_lsn": _position(conn),
        },
    }


def _require_no_passage(conn: Connection, before: Access, kept: list[str]) -> None:
    through, _superusers = admitted(conn, kept)
    if not through:
        return
    if before.record is None:  # put up just now: take it down again, nothing is half-done
        apply(conn, plan_open(before.before, read(conn)), before.comment)
    raise PreconditionError(
        f"the fence cannot hold: {', '.join(through)} may connect as a member of a role kept",
        hint="Take that membership from them, or name them in keep if they only read.",
    )


def _require_ownership(access: Access) -> None:
    if not access.may_fence:
        raise PreconditionError(
            f"{access.me} may not fence {access.datname}: it belongs to {access.owner}",
            hint=f'GRANT "{access.owner}" TO "{access.me}";',
        )


def _require_no_prepared(conn: Connection) -> None:
    if left := [gid for (gid,) in conn.execute(PREPARED)]:
        raise PreconditionError(
            f"{len(left)} prepared transactions are left, first {left[0]}",
            hint="COMMIT PREPARED or ROLLBACK PREPARED each of them, then run again.",
        )


def _position(conn: Connection) -> str:
    row = conn.execute(POSITION).fetchone()
    return str(row[0]) if row else ""


def converge_open(conn: Connection, wanted: Record | None, *, check_mode: bool) -> dict[str, Any]:
    """Give the database the privileges of ``wanted`` (None: of its own record) and re-read.

    Raise NotConvergedError if the privileges are not as wanted afterwards.
    """
    access = read(conn)
    goal = wanted or access.before
    changes = plan_open(goal, access)
    due = bool(changes) or access.comment != goal.comment
    if due and not check_mode:
        _require_ownership(access)
        apply(conn, changes, goal.comment)
        if left := plan_open(goal, read(conn)):
            raise NotConvergedError(
                f"{len(left)} privileges differ after opening, first {left[0]}",
                hint="A grantor other than the owner gave them: revoke them as that role.",
            )
    return {"changes": changes, "due": due, "evidence": standing(read(conn).record)}
