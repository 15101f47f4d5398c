# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fence: what keeps every writer away from a database, and lets them in again.

A fence takes the CONNECT privilege from everyone but the roles kept, then ends the sessions that
are left. ``default_transaction_read_only`` will not do: any session can switch it off, and a
transaction in flight commits after the position was taken. ``CONNECTION LIMIT 0`` will not do:
it locks the owner out as well.

What the privileges were is kept in the database's comment, written in the transaction that takes
them: who wonders why nobody can connect finds the answer with ``\\l+``, and opening needs nothing
but the database itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import NotConvergedError, PreconditionError
from ..waiting import Deadline, pauses, wait_for

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

MARK = "Landbridge fence: "

READ = """\
SELECT datname,
       shobj_description(pg_database.oid, 'pg_database') AS comment,
       current_user AS me,
       pg_has_role(current_user, datdba, 'USAGE') AS may_fence,
       pg_get_userbyid(datdba) AS owner,
       (SELECT coalesce(json_agg(json_build_array(rolname, privilege_type, is_grantable)), '[]')
          FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) AS acl
               LEFT JOIN pg_roles ON pg_roles.oid = grantee) AS privileges
  FROM pg_database
 WHERE datname = current_database()"""

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


class Grant(NamedTuple):
    """A privilege on the database. A grantee of None is PUBLIC."""

    grantee: str | None
    privilege_type: str
    is_grantable: bool


class Session(NamedTuple):
    pid: int
    usename: str
    application_name: str
    client_addr: str
    state: str | None

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.usename}, {self.application_name or 'no application_name'})"


@dataclass(frozen=True, slots=True)
class Record:
    """What a database's privileges and comment were before its fence."""

    grants: frozenset[Grant]
    comment: str | None


@dataclass(frozen=True, slots=True)
class Access:
    """Who may reach a database: its privileges now, and the record of a fence that stands."""

    datname: str
    owner: str
    me: str
    may_fence: bool
    grants: frozenset[Grant]
    comment: str | None
    record: Record | None

    @property
    def before(self) -> Record:
        """What holds, or will hold again, without a fence."""
        return self.record or Record(self.grants, self.comment)


class Change(NamedTuple):
    """One privilege granted or revoked."""

    action: str
    grant: Grant

    def __str__(self) -> str:
        link = "TO" if self.action == "GRANT" else "FROM"
        return f"{self.action} {self.grant.privilege_type} {link} {self.grant.grantee or 'PUBLIC'}"


def read(conn: Connection) -> Access:
    """Return who may reach the connection's database, in one query."""
    row = conn.execute(READ).fetchone()
    if row is None:
        raise PreconditionError("the connection's database is gone")
    datname, comment, me, may_fence, owner, privileges = row
    record = decode(comment)
    return Access(
        datname=datname,
        owner=owner,
        me=me,
        may_fence=may_fence,
        grants=frozenset(Grant(*privilege) for privilege in privileges),
        comment=comment,
        record=record,
    )


def encode(record: Record) -> str:
    """Return the comment that keeps ``record``."""
    grants = sorted((list(grant) for grant in record.grants), key=str)
    return MARK + json.dumps({"privileges": grants, "comment": record.comment})


def decode(comment: str | None) -> Record | None:
    """Return the record that a database's comment keeps, or None if it keeps none."""
    if comment is None or not comment.startswith(MARK):
        return None
    try:
        kept = json.loads(comment.removeprefix(MARK))
        return Record(frozenset(Grant(*grant) for grant in kept["privileges"]), kept["comment"])
    except (ValueError, TypeError, KeyError) as exc:
        raise PreconditionError(
            "the database's comment starts like a fence's record but cannot be read",
            hint="Restore the comment, or the privileges by hand, and clear it.",
        ) from exc


def mapped(record: Record, role_map: Mapping[str, str | None]) -> Record:
    """Return ``record`` in the other side's role names; roles mapped to None are left out."""
    grants = (
        grant._replace(grantee=role_map.get(grant.grantee, grant.grantee))
        for grant in record.grants
        if grant.grantee is not None and role_map.get(grant.grantee, "") is not None
    )
    public = (grant for grant in record.grants if grant.grantee is None)
    return Record(frozenset((*grants, *public)), record.comment)


def admitting(record: Record, role: str) -> Record:
    """Return ``record`` with CONNECT for ``role`` too, unless it has it by name or as PUBLIC."""
    connect = {grant.grantee for grant in record.grants if grant.privilege_type == "CONNECT"}
    if connect & {role, None}:
        return record
    return Record(record.grants | {Grant(role, "CONNECT", False)}, record.comment)


def plan_fenced(access: Access, keep: Collection[str]) -> list[Change]:
    """Return what takes CONNECT from everyone but ``keep``, ordered: grants first."""
    kept = {access.me, *keep}
    connect = {grant for grant in access.grants if grant.privilege_type == "CONNECT"}
    missing = kept - {grant.grantee for grant in connect}
    return [
        *(Change("GRANT", Grant(role, "CONNECT", False)) for role in sorted(missing)),
        *(
            Change("REVOKE", grant)
            for grant in sorted(connect, key=lambda grant: grant.grantee or "")
            if grant.grantee not in kept
        ),
    ]


def plan_open(wanted: Record, access: Access) -> list[Change]:
    """Return what makes the database's privileges those of ``wanted``, grants first."""

    def ordered(grants: Collection[Grant]) -> list[Grant]:
        return sorted(grants, key=lambda grant: (grant.grantee or "", grant.privilege_type))

    return [
        *(Change("GRANT", grant) for grant in ordered(wanted.grants - access.grants)),
        *(
            Change("REVOKE", grant)
            for grant in ordered(access.grants - wanted.grants)
            # A grant option that goes too far is revoked; the privilege itself may stay.
            if not (not grant.is_grantable and grant._replace(is_grantable=True) in wanted.grants)
        ),
    ]


def apply(conn: Connection, changes: Sequence[Change], comment: str | None) -> None:
    """Change privileges and set the database's comment in one transaction."""
    database = sql.Identifier(conn.info.dbname)
    statements = [_statement(change, database) for change in changes]
    text = sql.SQL("NULL") if comment is None else sql.Literal(comment)
    statements.append(sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, text))
    with conn.transaction():
        conn.execute(sql.SQL("; ").join(statements))


def _statement(change: Change, database: sql.Identifier) -> sql.Composed:
    grantee = (
        sql.SQL("PUBLIC") if change.grant.grantee is None else sql.Identifier(change.grant.grantee)
    )
    privilege = sql.SQL(change.grant.privilege_type)
    if change.action == "GRANT":
        option = sql.SQL(" WITH GRANT OPTION" if change.grant.is_grantable else "")
        return sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
            privilege, database, grantee, option
        )
    # CASCADE: what a grantee with the grant option gave on goes with it.
    return sql.SQL("REVOKE {} ON DATABASE {} FROM {} CASCADE").format(privilege, database, grantee)


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
    conn: Connection, keep: Collection[str], deadline: Deadline, *, check_mode: bool
) -> dict[str, Any]:
    """Fence the database and prove it; return changes and evidence.

    Raise PreconditionError if the role may not fence, or another role would pass the fence.
    """
    access = read(conn)
    kept = sorted({access.me, *keep})
    changes = plan_fenced(access, keep)
    due = bool(changes) or access.record is None
    if check_mode:
        return {"changes": changes, "due": due, "evidence": {"fenced": not due}}
    if due:
        _require_ownership(access)
        apply(conn, changes, encode(access.before))
    through, superusers = admitted(conn, kept)
    if through:
        _reopen(conn, access)
        raise PreconditionError(
            f"the fence cannot hold: {', '.join(through)} may connect by membership",
            hint=f"Take the membership in {', '.join(kept)} from them; the database is open again.",
        )
    terminated = expel(conn, kept, deadline)
    _require_no_prepared(conn)
    return {
        "changes": changes,
        "due": due or terminated > 0,
        "evidence": {
            "fenced": True,
            "may_connect": kept,
            "superusers": superusers,
            "sessions_terminated": terminated,
            "sessions": 0,
            "prepared_transactions": 0,
            "barrier_lsn": _position(conn),
        },
    }


def _require_ownership(access: Access) -> None:
    if not access.may_fence:
        raise PreconditionError(
            f"{access.me} may not fence {access.datname}: it belongs to {access.owner}",
            hint=f'GRANT "{access.owner}" TO "{access.me}";',
        )


def _reopen(conn: Connection, access: Access) -> None:
    if access.record is None:
        apply(conn, plan_open(access.before, read(conn)), access.comment)


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
    fenced = access.record is not None and check_mode
    return {"changes": changes, "due": due, "evidence": {"fenced": fenced}}
