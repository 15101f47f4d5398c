# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must hold before a source can be followed: one sentence each, and nothing was changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ...errors import PreconditionError
from ..connection import translated
from . import applying, identity
from .identity import Change
from .links import check_reach
from .request import Request
from .sides import Sides

if TYPE_CHECKING:
    from psycopg import Connection

# Logical replication came with 10; truncations and slots that tell they are lost with 13.
OLDEST = 13

# Providers' roles that stand for the attribute.
SOURCE = """\
SELECT current_setting('wal_level') AS wal_level,
       rolreplication OR rolsuper OR EXISTS (
         SELECT FROM pg_roles r
          WHERE r.rolname IN ('rds_replication', 'rds_superuser', 'cloudsqlsuperuser')
            AND pg_has_role(r.oid, 'MEMBER')) AS may_replicate,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       current_setting('max_replication_slots')::int
         - (SELECT count(*) FROM pg_replication_slots)::int AS free_slots,
       current_setting('max_wal_senders')::int
         - (SELECT count(*) FROM pg_stat_replication)::int AS free_senders
  FROM pg_roles WHERE rolname = current_user"""

TARGET = """\
SELECT current_setting('max_logical_replication_workers')::int
         - (SELECT count(*) FROM pg_subscription WHERE subenabled)::int AS free_workers"""


class Source(NamedTuple):
    wal_level: str
    may_replicate: bool
    may_create: bool
    free_slots: int
    free_senders: int


def check(sides: Sides, request: Request) -> list[Change]:
    """Return the replica identities to be set. Raise PreconditionError if it cannot be followed."""
    conn = sides.source
    with translated("source"):
        row = conn.execute(SOURCE.encode()).fetchone()
        if row is None:
            raise PreconditionError("source: the connection's role is gone")
        check_source(Source(*row), conn.info.server_version // 10000, conn.info.user)
        tables = identity.read(conn)
        incomparable = identity.read_incomparable(conn, tables)
    identity.check(tables, incomparable, request.insert_only, conn.info.user)
    with translated("target"):
        applying.require_subscriber("target", sides.target)
        _check_workers(sides.target)
    check_reach(sides, request)
    return identity.plan(tables)


def check_source(found: Source, major: int, user: str) -> None:
    """Raise PreconditionError if a server does not let itself be followed."""
    if major < OLDEST:
        raise PreconditionError(
            f"source: Postgres {major} cannot be followed; {OLDEST} or newer can",
            hint="Use landbridge_mode: window.",
        )
    if found.wal_level != "logical":
        raise PreconditionError(
            f"source: wal_level is {found.wal_level}, not logical",
            hint="Set it to logical with the provider's parameters (Amazon RDS:"
            " rds.logical_replication, Cloud SQL: cloudsql.logical_decoding); the server restarts.",
        )
    if not found.may_replicate:
        raise PreconditionError(
            f"source: {user} may not replicate",
            hint=f"ALTER ROLE {user} REPLICATION (on Amazon RDS: GRANT rds_replication TO {user}).",
        )
    if not found.may_create:
        raise PreconditionError(
            f"source: {user} may not create publications in this database",
            hint=f"GRANT CREATE ON DATABASE to {user}.",
        )
    if found.free_slots < 1 or found.free_senders < 1:
        name = "max_replication_slots" if found.free_slots < 1 else "max_wal_senders"
        raise PreconditionError(
            f"source: none of its {name} is free",
            hint=f"Drop a replication slot that nobody uses, or raise {name}.",
        )


def _check_workers(target: Connection) -> None:
    row = target.execute(TARGET).fetchone()
    if row and row[0] < 1:
        raise PreconditionError(
            "target: none of its max_logical_replication_workers is free",
            hint="Raise it, and max_worker_processes with it; the server restarts.",
        )
