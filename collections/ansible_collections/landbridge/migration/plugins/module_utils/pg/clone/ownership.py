# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who owns every object of a database and what is granted on it, read in one round trip.

Extensions' members are left out: CREATE EXTENSION gives them their owner and grants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .relations import USER_SCHEMA

if TYPE_CHECKING:
    from psycopg import Connection

PUBLIC = ""  # as a grantee; no role can have that name
FIRST_NORMAL_OID = 16384  # access/transam.h

# Owned sequences and the public schema of a new database keep the owner they have.
_OWN_SEQUENCE = """relkind = 'S' AND EXISTS (
    SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = o.oid
       AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i'))"""
_STANDARD_SCHEMA = "nspname = 'public' AND nspowner IN (10, 6171)"
_TYPES = """(typtype IN ('b', 'd', 'e', 'r') OR typtype = 'c' AND EXISTS (
    SELECT FROM pg_class WHERE pg_class.oid = typrelid AND relkind = 'c'))
  AND NOT EXISTS (SELECT FROM pg_type item WHERE item.typarray = o.oid)"""


class _Catalog(NamedTuple):
    """Where a class of objects is found; ``prefix`` starts its columns' names."""

    catalog: str
    prefix: str
    kind: str
    acl_type: str = ""  # acldefault()'s word; none if nothing can be granted
    in_schema: bool = True
    condition: str = "true"
    identity: str = ""
    fixed: str = "false"  # whose owner is not ours to change


CATALOGS = (
    _Catalog("pg_namespace", "nsp", "SCHEMA", "n", in_schema=False, condition=USER_SCHEMA,
             fixed=_STANDARD_SCHEMA),
    _Catalog("pg_class", "rel", "TABLE", "r",
             condition="relkind IN ('r', 'p', 'v', 'm', 'f') AND relpersistence <> 't'"),
    _Catalog("pg_class", "rel", "SEQUENCE", "s",
             condition="relkind = 'S' AND relpersistence <> 't'", fixed=_OWN_SEQUENCE),
    _Catalog("pg_proc", "pro", "ROUTINE", "f",
             identity="(pg_identify_object('pg_proc'::regclass, o.oid, 0)).identity"),
    _Catalog("pg_type", "typ", "TYPE", "T", condition=_TYPES),
    _Catalog("pg_language", "lan", "LANGUAGE", "l", in_schema=False,
             condition=f"o.oid >= {FIRST_NORMAL_OID}"),
    _Catalog("pg_foreign_data_wrapper", "fdw", "FOREIGN DATA WRAPPER", "F", in_schema=False),
    _Catalog("pg_foreign_server", "srv", "FOREIGN SERVER", "S", in_schema=False),
    _Catalog("pg_largeobject_metadata", "lom", "LARGE OBJECT", "L", in_schema=False,
             identity="o.oid::text"),
    _Catalog("pg_operator", "opr", "OPERATOR",
             identity="(pg_identify_object('pg_operator'::regclass, o.oid, 0)).identity"),
    _Catalog("pg_opclass", "opc", "OPERATOR CLASS",
             identity="(pg_identify_object('pg_opclass'::regclass, o.oid, 0)).identity"),
    _Catalog("pg_opfamily", "opf", "OPERATOR FAMILY",
             identity="(pg_identify_object('pg_opfamily'::regclass, o.oid, 0)).identity"),
    _Catalog("pg_collation", "coll", "COLLATION"),
    _Catalog("pg_conversion", "con", "CONVERSION"),
    _Catalog("pg_ts_dict", "dict", "TEXT SEARCH DICTIONARY"),
    _Catalog("pg_ts_config", "cfg", "TEXT SEARCH CONFIGURATION"),
    _Catalog("pg_statistic_ext", "stx", "STATISTICS"),
    _Catalog("pg_event_trigger", "evt", "EVENT TRIGGER", in_schema=False),
)  # fmt: skip

# json, because psycopg reads it without asking the server for the type's shape.
EXPLODE = """\
(SELECT json_agg(json_build_array(
          pg_get_userbyid(grantor),
          CASE grantee WHEN 0 THEN '' ELSE pg_get_userbyid(grantee) END,
          privilege_type, is_grantable))
   FROM aclexplode({acl}))"""

NOT_OF_EXTENSION = """\
NOT EXISTS (SELECT FROM pg_depend
             WHERE classid = '{catalog}'::regclass AND objid = o.oid AND deptype = 'e')"""

COLUMNS = f"""\
SELECT 'TABLE', format('%I.%I', nspname, relname), quote_ident(attname), 'c', relowner, false,
       nspname, {EXPLODE.format(acl="attacl")}
  FROM pg_attribute JOIN pg_class o ON o.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
 WHERE attacl IS NOT NULL AND attnum > 0 AND NOT attisdropped AND {USER_SCHEMA}
   AND {NOT_OF_EXTENSION.format(catalog="pg_class")}"""  # noqa: S608 - constants only

# Rights on objects yet to be made. Without a schema they replace what the server would grant by
# itself, within a schema they add to it.
DEFAULT_ACLS = f"""\
SELECT 'DEFAULT', defaclobjtype::text, coalesce(quote_ident(nspname), ''),
       CASE WHEN defaclnamespace <> 0 THEN ''
            WHEN defaclobjtype = 'S' THEN 's' ELSE defaclobjtype::text END,
       defaclrole, true, '', {EXPLODE.format(acl="defaclacl")}
  FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace
 WHERE nspname IS DISTINCT FROM 'landbridge'"""  # noqa: S608 - constants only

DEFAULTS = f"""\
SELECT type, owner, {EXPLODE.format(acl='acldefault(type::"char", owner)')}
  FROM unnest(%s::text[], %s::oid[]) AS asked (type, owner)"""  # noqa: S608 - constants only

ROLES = "SELECT oid, rolname FROM pg_roles"


class Right(NamedTuple):
    """A privilege that ``grantor`` gave to ``grantee``."""

    grantor: str
    grantee: str
    privilege: str


Acl: TypeAlias = Mapping[Right, bool]  # whether the right may be passed on


class Key(NamedTuple):
    """An object as GRANT and ALTER … OWNER TO name it.

    ``part`` is a column. Default privileges have the kind DEFAULT, the class of objects as their
    identity, a schema or nothing as their part, and the role they are for as their owner.
    """

    kind: str
    identity: str
    part: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """``acl`` is what holds, ``default`` what the server grants by itself to such an owner."""

    owner: str
    fixed: bool  # the owner is not ours to change
    nspname: str
    acl: Acl
    default: Acl


States: TypeAlias = Mapping[Key, State]


class Found(NamedTuple):
    """What a database has: its objects, every role's name, and what is granted by itself."""

    states: States
    roles: frozenset[str]


def read(conn: Connection) -> Found:
    """Return owner and rights of every object of the user's."""
    selects = [*(_select(each) for each in CATALOGS), COLUMNS, DEFAULT_ACLS]
    with conn.pipeline():
        rows = conn.execute("\nUNION ALL\n".join(selects).encode())
        names = conn.execute(ROLES)
    roles: dict[int, str] = dict(names.fetchall())
    objects = rows.fetchall()
    asked = sorted({(row[3], row[4]) for row in objects if row[3] not in ("", "c")})
    defaults = conn.execute(DEFAULTS, [[each[0] for each in asked], [each[1] for each in asked]])
    granted = {(type_, owner): _acl(acl) for type_, owner, acl in defaults}
    states = {}
    for kind, identity, part, type_, owner, fixed, nspname, acl in objects:
        name = roles.get(owner, "")
        default = granted.get((type_, owner), {})
        key = Key(kind, identity, part, name if kind == "DEFAULT" else "")
        states[key] = State(name, fixed, nspname, default if acl is None else _acl(acl), default)
    return Found(states, frozenset(roles.values()))


def _acl(exploded: list[tuple[str, str, str, bool]] | None) -> Acl:
    return {Right(*right): passable for *right, passable in exploded or ()}


def _select(catalog: _Catalog) -> str:
    """Return the query for one class of objects."""
    named = f"o.{catalog.prefix}name"
    if catalog.in_schema:
        join = f" JOIN pg_namespace n ON n.oid = o.{catalog.prefix}namespace"
        identity, nspname = f"format('%I.%I', nspname, {named})", "nspname"
        condition = f"{USER_SCHEMA} AND {catalog.condition}"
    else:
        join, nspname = "", "''"
        identity, condition = f"quote_ident({named})", catalog.condition
    acl = EXPLODE.format(acl=f"o.{catalog.prefix}acl") if catalog.acl_type else "NULL::json"
    return f"""\
SELECT '{catalog.kind}', {catalog.identity or identity}, '', '{catalog.acl_type}',
       o.{catalog.prefix}owner, {catalog.fixed}, {nspname}, {acl}
  FROM {catalog.catalog} o{join}
 WHERE {condition}
   AND {NOT_OF_EXTENSION.format(catalog=catalog.catalog.replace("_metadata", ""))}"""  # noqa: S608
