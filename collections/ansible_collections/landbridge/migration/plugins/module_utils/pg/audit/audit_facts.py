# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an audit must know of a side beyond its catalog: identity, rights, roles and odd objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..catalog import catalog
from ..catalog.catalog import Catalog, dotted
from . import live_facts
from .audit_sql import hazards_query, server_query
from .live_facts import Room

if TYPE_CHECKING:
    from psycopg import Connection

MAY_READ_IDENTIFIER = "SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"
IDENTIFIER = "SELECT system_identifier::text FROM pg_control_system()"

ROLES = """\
SELECT rolname::text, rolsuper, rolcanlogin, pg_has_role(oid, 'MEMBER'),
       has_database_privilege(oid, current_database(), 'CONNECT'),
       (SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND usename = rolname
           AND backend_type = 'client backend' AND pid <> pg_backend_pid()
           AND application_name NOT LIKE 'landbridge%')
  FROM pg_roles"""

EXTENSIONS = """\
SELECT name::text, array_agg(version::text) FROM pg_available_extension_versions GROUP BY name"""

# Flexible Server installs only what this list of its own has; elsewhere it does not exist.
ALLOWED = "SELECT current_setting('azure.extensions', true)"

OURS = "SELECT true FROM pg_namespace WHERE nspname = 'landbridge'"

INDEXES = """\
SELECT ARRAY[n.nspname::text, t.relname::text], m.amname::text, pg_relation_size(c.oid)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
  JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'i' AND n.nspname !~ '^pg_'
   AND n.nspname NOT IN ('information_schema', 'landbridge')"""


class Server(NamedTuple):
    """A server and the database connected to, in the columns of audit_sql.SERVER."""

    oid: int
    dbname: str
    encoding: str
    datcollate: str
    datctype: str
    owner: str
    may_fence: bool
    user: str
    superuser: bool
    createrole: bool
    may_signal: bool
    may_create: bool
    size_bytes: int
    wal_level: str
    started: str


class Role(NamedTuple):
    """A role; ``sessions`` of others than ours in this database."""

    rolname: str
    superuser: bool
    login: bool
    member: bool
    connects: bool
    sessions: int


class Hazard(NamedTuple):
    """An object that needs a word, by a code of audit_rules.HAZARDS."""

    code: str
    object: str


class Index(NamedTuple):
    table: str
    amname: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Facts:
    """One side.

    :param identifier: the server's system identifier; None if it may not be read.
    :param ours: a copy has begun here: schema landbridge is there.
    :param database_exists: false: there is no such database yet, and ``catalog`` is not its own.
    :param extensions: versions of each extension that can be made here.
    :param allowed: the provider's list of extensions, if it has one.
    :param room: for following; None in window mode.
    """

    version: int
    identifier: str | None
    server: Server
    catalog: Catalog
    roles: Mapping[str, Role]
    extensions: Mapping[str, Sequence[str]]
    allowed: frozenset[str] | None = None
    hazards: Sequence[Hazard] = ()
    indexes: Sequence[Index] = ()
    database_exists: bool = True
    wanted_dbname: str = ""
    ours: bool = False
    room: Room | None = None


def read_source(conn: Connection, mode: str) -> Facts:
    """Return everything of the source."""
    version = conn.info.server_version
    hazards = [Hazard(*row) for row in conn.execute(hazards_query(version, mode))]
    indexes = [Index(dotted(names), *rest) for names, *rest in conn.execute(INDEXES)]
    return _read(conn, mode, hazards=hazards, indexes=indexes)


def read_target(conn: Connection, mode: str, dbname: str, *, exists: bool) -> Facts:
    """Return what matters of the target, where ``dbname`` may not exist yet."""
    return _read(conn, mode, database_exists=exists, wanted_dbname=dbname)


def _read(conn: Connection, mode: str, **more: Any) -> Facts:
    version = conn.info.server_version
    roles = [Role(*row) for row in conn.execute(ROLES)]
    allowed = _one(conn, ALLOWED)
    return Facts(
        version=version,
        identifier=_one(conn, IDENTIFIER) if _one(conn, MAY_READ_IDENTIFIER) else None,
        server=Server(*next(iter(conn.execute(server_query())))),
        catalog=catalog.read(conn),
        roles={role.rolname: role for role in roles},
        ours=bool(_one(conn, OURS)),
        extensions=dict(conn.execute(EXTENSIONS).fetchall()),
        allowed=None if allowed is None else _names(allowed),
        room=live_facts.read(conn) if mode == "live" else None,
        **more,
    )


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in text.split(",") if name.strip())


def _one(conn: Connection, query: Any) -> Any:
    row = conn.execute(query).fetchone()
    return row[0] if row else None
