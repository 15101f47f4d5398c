# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may reach a database: its privileges, and the record of what they were before a fence.

The record is kept in the database's comment, written in the transaction that takes privileges
away: who wonders why nobody can connect finds the answer with ``\\l+``, and opening needs nothing
but the database itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import PreconditionError

try:
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

MARK = "Landbridge fence: "

# Notes of a record. Nobody was let in since the database was made: there is nothing to bring back.
NEVER_OPENED = "never opened"
# The database holds all that the other side accepted, and waits to be opened.
CARRIED_BACK = "carried back"
# The other side takes over what this one served; it follows when it has.
CROSSED = "crossed"

READ = """\
SELECT datname,
       shobj_description(pg_database.oid, 'pg_database') AS comment,
       current_user AS me,
       pg_has_role(current_user, datdba, 'USAGE') AS may_fence,
       pg_get_userbyid(datdba) AS owner,
       to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS read_at,
       (SELECT coalesce(json_agg(json_build_array(rolname, privilege_type, is_grantable)), '[]')
          FROM aclexplode(coalesce(datacl, acldefault('d', datdba))) AS acl
               LEFT JOIN pg_roles ON pg_roles.oid = grantee) AS privileges
  FROM pg_database
 WHERE datname = current_database()"""

STANDING = """\
SELECT shobj_description(oid, 'pg_database')
  FROM pg_database
 WHERE datname = %s"""


class Grant(NamedTuple):
    """A privilege on the database. A grantee of None is PUBLIC."""

    grantee: str | None
    privilege_type: str
    is_grantable: bool


@dataclass(frozen=True, slots=True)
class Record:
    """What a database's privileges and comment were before its fence.

    :param since: when the fence was put up, in UTC; None while there is none.
    :param note: what the one who put it up wants to find again, such as ``NEVER_OPENED``.
    """

    grants: frozenset[Grant]
    comment: str | None
    since: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Who may reach a database: its privileges now, and the record of a fence that stands."""

    datname: str
    owner: str
    me: str
    may_fence: bool
    read_at: str
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
    datname, comment, me, may_fence, owner, read_at, privileges = row
    record = decode(comment)
    return Access(
        datname=datname,
        owner=owner,
        me=me,
        may_fence=may_fence,
        read_at=read_at,
        grants=frozenset(Grant(*privilege) for privilege in privileges),
        comment=comment,
        record=record,
    )


def read_standing(conn: Connection, datname: str) -> dict[str, Any]:
    """Return whether another database of the server ``exists``, is ``fenced``, since when, why."""
    row = conn.execute(STANDING, [datname]).fetchone()
    record = decode(row[0]) if row else None
    return {"exists": row is not None, **standing(record)}


def standing(record: Record | None) -> dict[str, Any]:
    """Return what a record says of its fence; without one there is none."""
    if record is None:
        return {"fenced": False, "since": None, "note": None}
    return {"fenced": True, "since": record.since, "note": record.note}


def encode(record: Record) -> str:
    """Return the comment that keeps ``record``."""
    grants = sorted((list(grant) for grant in record.grants), key=str)
    kept = {"privileges": grants, "comment": record.comment}
    return MARK + json.dumps({"since": record.since, "note": record.note, **kept})


def decode(comment: str | None) -> Record | None:
    """Return the record that a database's comment keeps, or None if it keeps none."""
    if comment is None or not comment.startswith(MARK):
        return None
    try:
        kept = json.loads(comment.removeprefix(MARK))
        grants = frozenset(Grant(*grant) for grant in kept["privileges"])
        return Record(grants, kept["comment"], kept["since"], kept["note"])
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
    return replace(record, grants=frozenset((*grants, *public)))


def admitting(record: Record, role: str) -> Record:
    """Return ``record`` with CONNECT for ``role`` too, unless it has it by name or as PUBLIC."""
    connect = {grant.grantee for grant in record.grants if grant.privilege_type == "CONNECT"}
    if connect & {role, None}:
        return record
    return replace(record, grants=record.grants | {Grant(role, "CONNECT", False)})


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
    with conn.transaction():
        conn.execute(script(conn.info.dbname, changes, comment))


def script(datname: str, changes: Sequence[Change], comment: str | None) -> sql.Composed:
    """Return the statements that ``apply`` runs; they belong into one transaction."""
    database = sql.Identifier(datname)
    statements = [_statement(change, database) for change in changes]
    text = sql.SQL("NULL") if comment is None else sql.Literal(comment)
    statements.append(sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, text))
    return sql.SQL("; ").join(statements)


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
