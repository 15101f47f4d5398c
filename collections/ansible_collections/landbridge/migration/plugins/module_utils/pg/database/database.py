# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A database as an object of its server: made like the source's, closed to the public.

What CREATE DATABASE fixes for ever (encoding, collation, ctype, locale provider) has to be the
source's, or text would sort, compare and even read otherwise on the target.

CREATE DATABASE cannot be in a transaction with the REVOKE that closes it. So it is made with
ALLOW_CONNECTIONS false, and one transaction then closes and opens it: a run killed in between
leaves a database that nobody can enter, and that the next run recognises and finishes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ...errors import PreconditionError

try:
    from psycopg import errors, sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

READ = """\
SELECT datname, rolname, pg_encoding_to_char(encoding), datcollate, datctype,
       {provider}, {locale}, {rules}, datconnlimit, datallowconn, datacl IS NULL
  FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba
 WHERE datname = %s"""

# Since 15 a database has a provider; its locale moved in 17, where the builtin one came.
PROVIDER = {10: "'c'", 15: "datlocprovider"}
LOCALE = {10: "NULL", 15: "daticulocale", 17: "datlocale"}
RULES = {10: "NULL", 16: "daticurules"}
PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}
PROVIDER_SINCE = {"libc": 10, "icu": 15, "builtin": 17}

# May the administrator give a database to this role? Before 16 every membership includes SET.
MAY_BECOME = "SELECT pg_has_role(current_user, oid, %s) FROM pg_roles WHERE rolname = %s"


@dataclass(frozen=True, slots=True)
class Database:
    """A database. None: whatever is there; in a new one, the server's default."""

    datname: str
    owner: str | None = None
    encoding: str | None = None
    lc_collate: str | None = None
    lc_ctype: str | None = None
    locale_provider: str | None = None
    locale: str | None = None
    icu_rules: str | None = None
    connection_limit: int = -1
    allows_connections: bool = True
    has_default_privileges: bool = False

    @property
    def is_unfinished(self) -> bool:
        """Whether a run was killed between making the database and opening it."""
        return not self.allows_connections and self.has_default_privileges


FIXED = ("encoding", "lc_collate", "lc_ctype", "locale_provider", "locale", "icu_rules")


class Create(NamedTuple):
    database: Database


class Open(NamedTuple):
    """Closed to the public, then opened for those who may connect."""

    datname: str


class Give(NamedTuple):
    datname: str
    before: str | None
    after: str


Change: TypeAlias = "Create | Open | Give"


def read(conn: Connection, datname: str) -> Database | None:
    """Return the database, None if the server has none of this name."""
    version = conn.info.server_version // 10000
    columns = {
        "provider": _since(PROVIDER, version),
        "locale": _since(LOCALE, version),
        "rules": _since(RULES, version),
    }
    row = conn.execute(READ.format(**columns), [datname]).fetchone()
    if row is None:
        return None
    found = Database(*row)
    return replace(found, locale_provider=PROVIDERS[str(found.locale_provider)])


def _since(columns: Mapping[int, str], version: int) -> str:
    return columns[max(major for major in columns if major <= version)]


def plan(wanted: Database, found: Database | None) -> list[Change]:
    """Return what makes ``found`` as ``wanted``.

    Raise PreconditionError for a difference that only a new database resolves.
    """
    if found is None:
        return [Create(wanted), Open(wanted.datname)]
    _refuse_another_kind(wanted, found)
    changes: list[Change] = []
    if wanted.owner is not None and found.owner != wanted.owner:
        changes.append(Give(found.datname, found.owner, wanted.owner))
    if found.is_unfinished:
        changes.append(Open(found.datname))
    elif not found.allows_connections:
        raise PreconditionError(
            f"target: database {found.datname} allows no connections",
            hint="Whoever closed it runs ALTER DATABASE … ALLOW_CONNECTIONS true, or drops it.",
        )
    return changes


def _refuse_another_kind(wanted: Database, found: Database) -> None:
    for name in FIXED:
        before, after = getattr(found, name), getattr(wanted, name)
        if after is not None and _spelled(name, before) != _spelled(name, after):
            raise PreconditionError(
                f"target: database {found.datname} has {name} {before}, the source's has {after}",
                hint=f"It is fixed for ever. Drop {found.datname} on the target if it holds"
                " nothing, and run again.",
            )


def _spelled(name: str, value: str | None) -> str | None:
    # glibc takes en_US.UTF-8 for en_US.utf8 (_nl_normalize_codeset in intl/l10nflist.c).
    if value is None or name not in ("lc_collate", "lc_ctype") or "." not in value:
        return value
    language, _unused, codeset = value.partition(".")
    return f"{language}.{codeset.lower().replace('-', '')}"


def refuse_unable(conn: Connection, wanted: Database) -> None:
    """Raise PreconditionError if the server cannot make it, or the administrator not give it."""
    version = conn.info.server_version // 10000
    provider = wanted.locale_provider or "libc"
    if version < PROVIDER_SINCE[provider]:
        raise PreconditionError(
            f"target: Postgres {version} has no locale provider {provider},"
            f" which {wanted.datname} uses on the source"
        )
    if wanted.owner is None:
        return
    row = conn.execute(MAY_BECOME, ["SET" if version >= 16 else "MEMBER", wanted.owner]).fetchone()
    if row is None:
        raise PreconditionError(
            f"target: there is no role {wanted.owner}, which owns {wanted.datname} on the source",
            hint="Make the roles first, map it to another in the role map, or name an owner.",
        )
    if not row[0]:
        raise PreconditionError(
            f"target: {conn.info.user} may not give {wanted.datname} to {wanted.owner}",
            hint=f'Whoever may runs: GRANT "{wanted.owner}" TO "{conn.info.user}"',
        )


def apply(conn: Connection, changes: list[Change]) -> None:
    """Make the changes; each is repeated without harm."""
    for change in changes:
        match change:
            case Create(database):
                _create(conn, database)
            case Open(datname):
                _open(conn, sql.Identifier(datname))
            case Give(datname, _, owner):
                give = sql.SQL("ALTER DATABASE {} OWNER TO {}")
                conn.execute(give.format(sql.Identifier(datname), sql.Identifier(owner)))


def _create(conn: Connection, database: Database) -> None:
    words = sql.SQL(" ").join(_words(database))
    create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ALLOW_CONNECTIONS false {}")
    try:
        conn.execute(create.format(sql.Identifier(database.datname), words))
    except errors.WrongObjectType as exc:
        raise PreconditionError(
            f"target: database {database.datname} cannot have the source's locale:"
            f" {exc.diag.message_primary}",
            hint="Name one that the target has: lc_collate and lc_ctype, or locale.",
        ) from exc


def _words(database: Database) -> list[sql.Composed]:
    provider = database.locale_provider
    named = {
        "ENCODING": database.encoding,
        "LC_COLLATE": database.lc_collate,
        "LC_CTYPE": database.lc_ctype,
        # Before 15 there is one provider and no word for it.
        "LOCALE_PROVIDER": None if provider == "libc" and not database.locale else provider,
        "ICU_LOCALE": database.locale if provider == "icu" else None,
        "BUILTIN_LOCALE": database.locale if provider == "builtin" else None,
        "ICU_RULES": database.icu_rules,
    }
    words = [sql.SQL(name + " {}").format(value) for name, value in named.items() if value]
    if database.owner is not None:
        words.append(sql.SQL("OWNER {}").format(sql.Identifier(database.owner)))
    return words


def _open(conn: Connection, datname: sql.Identifier) -> None:
    with conn.transaction():
        conn.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(datname))
        conn.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(datname))


def describe(change: Change) -> dict[str, Any]:
    """Return the change as a module's result tells it."""
    match change:
        case Create(database):
            told = {name: getattr(database, name) for name in ("owner", *FIXED)}
            after = {name: value for name, value in told.items() if value is not None}
            return {"name": "database", "before": None, "after": after}
        case Open():
            return {"name": "CONNECT of PUBLIC", "before": True, "after": False}
        case Give(_, before, owner):
            return {"name": "owner", "before": before, "after": owner}
