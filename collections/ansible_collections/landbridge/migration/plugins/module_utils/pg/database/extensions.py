# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Extensions: the source's, in the same schemas, at the version that the target offers.

The target's own list of what is available is the allow-list. A trusted extension needs no more
than CREATE on the database; of the others a provider's administrator may create some, which only
trying tells.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...errors import PreconditionError
from ..finding import Finding
from ..roles.roles import PROVIDERS

try:
    from psycopg import errors, sql
except ImportError:
    pass  # reported by connection.connect()
else:
    REFUSALS = (errors.InsufficientPrivilege, errors.FeatureNotSupported, errors.UndefinedFile)

if TYPE_CHECKING:
    from psycopg import Connection

INSTALLED = """\
SELECT extname, extversion, nspname, owner.rolname, schema_owner.rolname
  FROM pg_extension
  JOIN pg_namespace ON pg_namespace.oid = extnamespace
  JOIN pg_roles AS owner ON owner.oid = extowner
  JOIN pg_roles AS schema_owner ON schema_owner.oid = nspowner"""

AVAILABLE = """\
SELECT name, version, NOT superuser OR trusted, schema, coalesce(requires, '{}')
  FROM pg_available_extension_versions AS v
  JOIN pg_available_extensions AS e USING (name)
 WHERE version = default_version"""

RIGHTS = """\
SELECT rolsuper, ARRAY(SELECT role.rolname::text
                         FROM pg_roles AS role
                        WHERE pg_has_role(me.oid, role.oid, 'MEMBER'))
  FROM pg_roles AS me
 WHERE rolname = current_user"""

MAY_MAKE = """\
SELECT rolname
  FROM pg_roles
 WHERE pg_has_role(current_user, oid, %s)
   AND has_database_privilege(oid, current_database()::text, 'CREATE')"""

MAY_BECOME = "SELECT pg_has_role(current_user, oid, %s) FROM pg_roles WHERE rolname = %s"


class Extension(NamedTuple):
    """An extension as it is installed in a database."""

    extname: str
    extversion: str | None
    nspname: str = "public"
    owner: str | None = None
    schema_owner: str | None = None


class Available(NamedTuple):
    """An extension as a server offers it, at its default version."""

    name: str
    version: str
    trusted: bool  # or needs no superuser at all
    schema: str | None  # it insists on this one
    requires: Sequence[str] = ()


class Rights(NamedTuple):
    """What whoever is connected may do."""

    superuser: bool
    member_of: Collection[str]

    @property
    def may_try_untrusted(self) -> bool:
        """Whether only trying tells: a provider's role lets some untrusted ones through."""
        return self.superuser or not PROVIDERS.isdisjoint(self.member_of)


def read(conn: Connection) -> dict[str, Extension]:
    """Return the extensions that the database has, by name."""
    return {row[0]: Extension(*row) for row in conn.execute(INSTALLED)}


def read_available(conn: Connection) -> dict[str, Available]:
    """Return the extensions that the server offers, by name."""
    return {row[0]: Available(*row) for row in conn.execute(AVAILABLE)}


def read_rights(conn: Connection) -> Rights:
    """Return the rights of whoever is connected."""
    superuser, member_of = conn.execute(RIGHTS).fetchone() or (False, [])
    return Rights(superuser, frozenset(member_of))


def plan(
    wanted: Mapping[str, Extension],
    found: Mapping[str, Extension],
    available: Mapping[str, Available],
    rights: Rights,
    datname: str,
) -> list[Extension]:
    """Return those to create, required ones first.

    Raise PreconditionError, naming all of them, if some cannot be created.
    """
    due = [name for name in sorted(wanted) if name not in found]
    lacking = [name for name in due if name not in available]
    if lacking:
        raise PreconditionError(
            f"target: {_named(lacking)} of database {datname} {_is(lacking)} not available",
            hint="Have the provider allow or install them, or list the extensions to create.",
        )
    untrusted = [name for name in due if not available[name].trusted]
    if untrusted and not rights.may_try_untrusted:
        raise PreconditionError(
            f"target: {_named(untrusted)} of database {datname} {_is(untrusted)} not trusted, so"
            " only a superuser creates it",
            hint="Have a superuser create it there, or list the extensions to create.",
        )
    return [wanted[name] for name in _ordered(due, available)]


def _named(names: Sequence[str]) -> str:
    return ("extensions " if len(names) > 1 else "extension ") + ", ".join(names)


def _is(names: Sequence[str]) -> str:
    return "are" if len(names) > 1 else "is"


def _ordered(names: Iterable[str], available: Mapping[str, Available]) -> list[str]:
    left, ordered = set(names), list[str]()
    while left:
        # A cycle cannot be: Postgres refuses it. Should it lie, the rest goes as it is.
        free = {name for name in left if left.isdisjoint(available[name].requires)} or left
        ordered += sorted(free)
        left -= free
    return ordered


def compare(
    wanted: Mapping[str, Extension], versions: Mapping[str, str | None], datname: str
) -> list[Finding]:
    """Return a finding for each extension whose version is not the source's."""
    return [
        _another_version(extension, str(there), datname)
        for name, extension in sorted(wanted.items())
        if (there := versions.get(name)) and extension.extversion not in (None, there)
    ]


def _another_version(extension: Extension, there: str, datname: str) -> Finding:
    older = _numbers(there) < _numbers(str(extension.extversion))
    return Finding(
        "extension_version",
        "warning" if older else "note",
        f"extension {extension.extname}",
        f"{extension.extname} of database {datname} is {extension.extversion} on the source and"
        f" {there} on the target",
        "An older one may lack functions that are used: update it there first."
        if older
        else "None, unless its release notes tell of an incompatibility.",
    )


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall("[0-9]+", version)]


def apply(
    conn: Connection,
    due: Sequence[Extension],
    available: Mapping[str, Available],
    role_map: Mapping[str, str | None],
) -> None:
    """Create the extensions in order, each with its schema or not at all.

    A trusted one is made by its owner of the source, who can then update it there, too. Raise
    PreconditionError, naming extension and database, if the server refuses one.
    """
    makers = {row[0] for row in conn.execute(MAY_MAKE, [_right(conn)])}
    for extension in due:
        offered = available[extension.extname]
        owner = role_map.get(str(extension.owner), extension.owner)
        try:
            with conn.transaction():
                if offered.trusted and owner in makers:
                    conn.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(str(owner))))
                _create(conn, extension, offered, role_map)
        except REFUSALS as exc:
            raise PreconditionError(
                f"target: extension {extension.extname} of database {conn.info.dbname} cannot be"
                f" created: {exc.diag.message_primary}",
                hint=exc.diag.message_hint or "Have the provider allow it, or a superuser make it.",
            ) from exc


def _right(conn: Connection) -> str:
    return "SET" if conn.info.server_version >= 160000 else "MEMBER"


def _create(
    conn: Connection,
    extension: Extension,
    offered: Available,
    role_map: Mapping[str, str | None],
) -> None:
    create = sql.SQL("CREATE EXTENSION IF NOT EXISTS {}").format(sql.Identifier(extension.extname))
    if offered.schema is None:
        owner = role_map.get(str(extension.schema_owner), extension.schema_owner)
        _create_schema(conn, extension.nspname, owner)
        create += sql.SQL(" SCHEMA {}").format(sql.Identifier(extension.nspname))
    conn.execute(create + sql.SQL(" CASCADE"))


def _create_schema(conn: Connection, nspname: str, owner: str | None) -> None:
    """Create the schema unless it is there, its owner's if whoever is connected may become it."""
    if conn.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [nspname]).fetchone():
        return
    create = sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(nspname))
    if conn.execute(MAY_BECOME, [_right(conn), owner]).fetchone() == (True,):
        create += sql.SQL(" AUTHORIZATION {}").format(sql.Identifier(str(owner)))
    conn.execute(create)
