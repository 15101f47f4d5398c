# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Roles: which ones a server's databases need, read from its catalogs.

Roles belong to a server, not to a database, so the databases that move need some of them only:
those that own something there or were granted something (pg_shdepend knows, for every database
at once), those that may connect, and whoever is a member of these or of which these are members.
The superuser that initdb made and predefined roles are pinned and never in pg_shdepend.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import PreconditionError

if TYPE_CHECKING:
    from psycopg import Connection

ROLES = """\
SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
       rolbypassrls, rolconnlimit, nullif(rolvaliduntil, 'infinity')::text,
       coalesce(rolvaliduntil <= now(), false), coalesce(rolconfig, '{}'),
       shobj_description(oid, 'pg_authid'), oid < 16384
  FROM pg_roles"""  # initdb gives oids below FirstNormalObjectId (access/transam.h)

# Before 16 a membership's only option is ADMIN; its member inherits as its own attribute says.
MEMBERSHIPS = """\
SELECT granted.rolname, member.rolname, grantor.rolname, admin_option, {inherit}, {set}
  FROM pg_auth_members AS m
  JOIN pg_roles AS granted ON granted.oid = m.roleid
  JOIN pg_roles AS member ON member.oid = m.member
  LEFT JOIN pg_roles AS grantor ON grantor.oid = m.grantor"""
OPTIONS_16 = {"inherit": "inherit_option", "set": "set_option"}
OPTIONS_10 = {"inherit": "member.rolinherit", "set": "true"}

DATABASES = "SELECT datname FROM pg_database WHERE datname = ANY(%s)"

# Who owns or was granted something in these databases, or on the database itself.
DEPENDENTS = """\
SELECT rolname, bool_or(deptype = 'o')
  FROM pg_shdepend JOIN pg_roles ON pg_roles.oid = refobjid
 WHERE refclassid = 'pg_authid'::regclass
   AND CASE WHEN dbid = 0
            THEN classid = 'pg_database'::regclass AND objid = ANY(ARRAY(
                 SELECT oid FROM pg_database WHERE datname = ANY(%(databases)s)))
            ELSE dbid = ANY(ARRAY(
                 SELECT oid FROM pg_database WHERE datname = ANY(%(databases)s)))
       END
 GROUP BY rolname
UNION ALL
SELECT rolname, false
  FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole
  JOIN pg_database ON pg_database.oid = setdatabase
 WHERE datname = ANY(%(databases)s)"""

# Who may connect. One that uses other databases only and gets in because everybody may is left
# out: it has dependencies, and none of them is here.
CONNECTING = """\
SELECT DISTINCT rolname
  FROM pg_roles CROSS JOIN pg_database
 WHERE datname = ANY(%(databases)s)
   AND rolcanlogin AND NOT rolsuper
   AND has_database_privilege(pg_roles.oid, pg_database.oid, 'CONNECT')
   AND NOT EXISTS (SELECT FROM pg_shdepend
                    WHERE refclassid = 'pg_authid'::regclass AND refobjid = pg_roles.oid)"""

# Roles that providers keep for themselves. Their like on the other side has another name, if any.
# fmt: off
PROVIDERS = frozenset({
    "azure_pg_admin", "azure_superuser", "azuresu",
    "cloudsqladmin", "cloudsqlagent", "cloudsqliamgroup", "cloudsqliamgroupserviceaccount",
    "cloudsqliamgroupuser", "cloudsqliamserviceaccount", "cloudsqliamuser",
    "cloudsqlimportexport", "cloudsqlinactiveuser", "cloudsqlobservability", "cloudsqlreplica",
    "cloudsqlsuperuser",
    "rds_ad", "rds_extension", "rds_iam", "rds_password", "rds_replication", "rds_reserved",
    "rds_superuser", "rdsadmin", "rdsrepladmin", "rdstopmgr", "rdswriteforwarduser",
    "_doadmin_managed", "_doadmin_monitor", "_dodb",
})
# fmt: on


@dataclass(frozen=True, slots=True)
class Role:
    """A role's attributes, in pg_roles' words. ``rolvaliduntil``: None is for ever."""

    rolname: str
    rolsuper: bool = False
    rolinherit: bool = True
    rolcreaterole: bool = False
    rolcreatedb: bool = False
    rolcanlogin: bool = False
    rolreplication: bool = False
    rolbypassrls: bool = False
    rolconnlimit: int = -1
    rolvaliduntil: str | None = None
    expired: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    comment: str | None = None
    predefined: bool = False

    @property
    def is_servers_own(self) -> bool:
        """Whether Postgres or the provider made it, neither operator nor application."""
        return self.predefined or self.rolname in PROVIDERS


class Member(NamedTuple):
    """``member`` is a member of ``role``."""

    role: str
    member: str


class Options(NamedTuple):
    admin: bool = False
    inherit: bool = True
    set: bool = True

    def either(self, other: Options) -> Options:
        """Return what both give together."""
        return Options(*(one or two for one, two in zip(self, other, strict=True)))


NOTHING = Options(admin=False, inherit=False, set=False)


class Grant(NamedTuple):
    """A membership as one grantor gave it; from 16 on there may be several."""

    member: Member
    grantor: str | None
    options: Options


@dataclass(frozen=True, slots=True)
class Roles:
    """All roles of a server and their memberships."""

    roles: Mapping[str, Role]
    grants: Sequence[Grant]
    version: int  # major

    def effective(self) -> dict[Member, Options]:
        """Return each membership with the options that all its grants give together."""
        found: dict[Member, Options] = {}
        for member, _unused, options in self.grants:
            found[member] = found.get(member, NOTHING).either(options)
        return found


class Needed(NamedTuple):
    """Which roles some databases need, and which of these own something in them."""

    names: frozenset[str]
    owners: frozenset[str]


def read(conn: Connection) -> Roles:
    """Return every role of the server, in two queries."""
    version = conn.info.server_version // 10000
    options = OPTIONS_16 if version >= 16 else OPTIONS_10
    roles = {row[0]: _role(row) for row in conn.execute(ROLES)}
    grants = [
        Grant(Member(row[0], row[1]), row[2], Options(*row[3:]))
        for row in conn.execute(MEMBERSHIPS.format(**options))
    ]
    return Roles(roles, grants, version)


def _role(row: tuple[Any, ...]) -> Role:
    *attributes, rolconfig, comment, predefined = row
    settings = _settings(rolconfig)
    return Role(*attributes, settings, comment, predefined)  # type: ignore[call-arg]


def _settings(rolconfig: Iterable[str]) -> dict[str, str]:
    return dict(setting.split("=", 1) for setting in rolconfig)


def read_needed(conn: Connection, databases: Sequence[str], roles: Roles) -> Needed:
    """Return the roles that ``databases`` need, leaving out those of the server itself.

    Raise PreconditionError if one of the databases does not exist.
    """
    listed = {"databases": list(databases)}
    there = {row[0] for row in conn.execute(DATABASES, [listed["databases"]])}
    if missing := sorted(set(databases) - there):
        raise PreconditionError(f"source: there is no database {missing[0]}")
    dependents = conn.execute(DEPENDENTS, listed).fetchall()
    owners = {name for name, owns in dependents if owns}
    connecting = {row[0] for row in conn.execute(CONNECTING, listed)}
    names = closure({name for name, _unused in dependents} | connecting, roles, conn.info.user)
    return Needed(frozenset(names), frozenset(owners & names))


def closure(names: Iterable[str], roles: Roles, admin: str) -> set[str]:
    """Return ``names``, their members, and the roles they are members of, and so on.

    The server's own roles end it, and ``admin``, which is a member of everything.
    """
    neighbours: dict[str, set[str]] = {}
    for (role, member), *_unused in roles.grants:
        neighbours.setdefault(role, set()).add(member)
        neighbours.setdefault(member, set()).add(role)
    found: set[str] = set()
    left = set(names)
    while left:
        name = left.pop()
        if name not in found and name != admin and not roles.roles[name].is_servers_own:
            found.add(name)
            left |= neighbours.get(name, set())
    return found
