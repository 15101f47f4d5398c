# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Do two catalogs describe the same database?

Roles are renamed by the role map, and privileges that only one of the two majors knows (MAINTAIN
came with 17) do not count. Majors print the same definition in different ways: 16 leaves out a
column's qualifier where it can, and each knows more keywords to quote. A view is therefore also
compared as the target itself prints the source's definition (``redefine``); for the rest, quotes,
blanks and, last, qualifiers are taken out of the texts, only if the majors differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from .catalog import Catalog, Key, Properties

try:
    import psycopg
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

RoleMap: TypeAlias = Mapping[str, str | None]
Acl: TypeAlias = frozenset[tuple[str, str, bool]]

# Classes whose first name is a role.
OF_ROLES = frozenset({"default privileges", "setting", "user mapping", "large objects"})

# What is told but is not a difference: copies leave these out or set them elsewhere.
NOTED = frozenset({"publication", "subscription", "setting"})

# What is printed by the server, and differently by different majors.
PRINTED = frozenset({"definition", "check", "default", "SQL body", "partition bound", "arguments"})

PUBLIC_SCHEMA = Key("schema", ("public",))
PUBLIC_CREATE = ("", "CREATE", False)

SHOWN = 200  # characters of a value


@dataclass(frozen=True, slots=True)
class Difference:
    """One object, or one property of an object, that is not the same.

    :param finding: ``missing`` (on the target), ``extra`` or the property that differs.
    :param note: worth knowing, but the databases count as equal.
    """

    kind: str
    object: str
    finding: str
    source: str
    target: str
    note: bool = False

    def __str__(self) -> str:
        if self.finding == "missing":
            return f"{self.kind} {self.object} is missing on the target"
        if self.finding == "extra":
            return f"{self.kind} {self.object} is only on the target"
        return (
            f"{self.kind} {self.object}: {self.finding} is {self.source} on the source"
            f" and {self.target} on the target"
        )


def diff(
    source: Catalog, target: Catalog, role_map: RoleMap, redefined: Mapping[Key, str] | None = None
) -> list[Difference]:
    """Return how ``target`` differs from ``source``, differences before notes, by name.

    :param redefined: the source's view definitions as the target prints them.
    """
    sides = _Sides(source.version, target.version, role_map, redefined or {})
    wanted = {sides.rename(key): (key, value) for key, value in source.objects.items()}
    wanted = {key: value for key, value in wanted.items() if key.names[:1] != (DROPPED,)}
    found = [
        *(_one_sided("missing", key) for key in wanted.keys() - target.objects.keys()),
        *(_one_sided("extra", key) for key in target.objects.keys() - wanted.keys()),
        *_column_order(source, target),
    ]
    for key in wanted.keys() & target.objects.keys():
        original, properties = wanted[key]
        found += sides.compare(original, key, properties, target.objects[key])
    noted = [_noted(each, source) for each in found]
    return sorted(noted, key=lambda each: (each.note, each.kind, each.object, each.finding))


def views_to_redefine(source: Catalog, target: Catalog) -> dict[Key, str]:
    """Return the source's definitions of views that the target's major may print differently."""
    if source.version // 10000 == target.version // 10000:
        return {}
    return {
        key: properties["definition"]
        for key, properties in source.objects.items()
        if key.kind in ("view", "materialized view")
        and key in target.objects
        and properties["definition"] != target.objects[key].get("definition")
    }


def redefine(conn: Connection, definitions: Mapping[Key, str]) -> dict[Key, str]:
    """Return ``definitions`` as this server prints them; one it does not accept is left out.

    Each becomes a temporary view in a transaction that is rolled back. Statements go one by one
    in the extended protocol, which takes no second statement hidden in a definition.
    """
    try:
        return _redefine(conn, list(definitions.items()))
    except psycopg.Error:
        if len(definitions) == 1:
            return {}
    one_by_one = (redefine(conn, {key: text}) for key, text in definitions.items())
    return {key: text for each in one_by_one for key, text in each.items()}


def _redefine(conn: Connection, definitions: list[tuple[Key, str]]) -> dict[Key, str]:
    view = sql.Identifier("pg_temp", "landbridge_printed")
    create = sql.SQL("CREATE OR REPLACE TEMPORARY VIEW {} AS {}")
    cursors = []
    with conn.pipeline(), conn.transaction(force_rollback=True):
        for _unused, text in definitions:
            conn.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(view))
            conn.execute(create.format(view, sql.SQL(text.rstrip(";"))))
            printed = "SELECT pg_get_viewdef('pg_temp.landbridge_printed'::regclass)"
            cursors.append(conn.execute(printed))
        rows = [cursor.fetchone() for cursor in cursors]
    return {key: row[0] for (key, _unused), row in zip(definitions, rows, strict=True) if row}


DROPPED = "\0dropped"  # a role that the map takes away; no name can hold it


@dataclass(frozen=True, slots=True)
class _Sides:
    source_version: int
    target_version: int
    role_map: RoleMap
    redefined: Mapping[Key, str]

    @property
    def majors_differ(self) -> bool:
        return self.source_version // 10000 != self.target_version // 10000

    def role(self, name: str) -> str:
        mapped = self.role_map.get(name, name)
        return DROPPED if mapped is None else mapped

    def rename(self, key: Key) -> Key:
        if key.kind not in OF_ROLES:
            return key
        return Key(key.kind, (self.role(key.names[0]), *key.names[1:]))

    def compare(
        self, original: Key, key: Key, source: Properties, target: Properties
    ) -> Iterator[Difference]:
        for name in sorted(source.keys() | target.keys()):
            before, after = self.pair(name, source, target)
            if before == after or self.equal_in_print(original, name, before, after):
                continue
            note = name == "acl" and self.as_installed(key, before, after)
            yield replace(_differs(key, name, before, after), note=note)

    def as_installed(self, key: Key, before: Acl, after: Acl) -> bool:
        """Tell if only what servers grant by themselves differs: CREATE in public, until 15."""
        if key != PUBLIC_SCHEMA or not self.source_version < 150000 <= self.target_version:
            return False
        return before - {PUBLIC_CREATE} == after - {PUBLIC_CREATE}

    def pair(self, name: str, source: Properties, target: Properties) -> tuple[Any, Any]:
        """Return a property of both sides in the target's terms."""
        before, after = source.get(name), target.get(name)
        if name == "owner":
            before = self.role(str(before))
            # Whose it is now was for the target to decide, or a new role's since 15.
            given = before == DROPPED or "pg_database_owner" in (before, after)
            return (after, after) if given else (before, after)
        if name == "acl":
            return self.both_acls((before, source), (after, target))
        if name == "roles":
            before = [self.role(role) for role in before or ()]
            return sorted(set(before) - {DROPPED}), sorted(after or ())
        if name == "grants":
            return self.grants(before, source, True), self.grants(after, target, False)
        return before, after

    def both_acls(
        self, source: tuple[Any, Properties], target: tuple[Any, Properties]
    ) -> tuple[Acl, Acl]:
        before, after = self.acl(*source, True), self.acl(*target, False)
        if self.role(str(source[1].get("owner"))) == DROPPED:  # another owns it, with its own
            after = frozenset(entry for entry in after if entry[0] != OWNER)
        return before, after

    def acl(self, entries: Any, properties: Properties, is_source: bool) -> Acl:
        """Return the grants of an ACL that both majors know, but for an owner who was dropped."""
        owner = properties.get("owner")
        known = {tuple(entry) for entry in entries or ()}
        if self.source_version < 170000 or self.target_version < 170000:
            known = {entry for entry in known if entry[1] != "MAINTAIN"}
        if is_source:
            known = {(self.role(grantee), *rest) for grantee, *rest in known}
            owner = None if owner is None else self.role(owner)
        return frozenset(
            (OWNER if grantee == owner else grantee, privilege, grantable)
            for grantee, privilege, grantable in known
            if grantee != DROPPED
        )

    def grants(self, counted: Any, properties: Properties, is_source: bool) -> Any:
        totals: dict[Acl, int] = {}
        for count, entries in counted or ():
            acl = self.acl(entries, properties, is_source)
            totals[acl] = totals.get(acl, 0) + count
        return totals

    def equal_in_print(self, original: Key, name: str, before: Any, after: Any) -> bool:
        if not (self.majors_differ and name in PRINTED and before and after):
            return False
        printed = self.redefined.get(original, before) if name == "definition" else before
        one, other = _unified(str(printed)), _unified(str(after))
        return one == other or _unqualified(one) == _unqualified(other)


OWNER = "\0owner"


def _unified(text: str) -> str:
    text = re.sub(r'"([a-z_][a-z0-9_$]*)"', r"\1", text)
    return " ".join(text.replace("EXECUTE PROCEDURE", "EXECUTE FUNCTION").split())


def _unqualified(text: str) -> str:
    return re.sub(r"\b[a-z_][a-z0-9_$]*\.(?=[a-z_\"])", "", text)


def _one_sided(finding: str, key: Key) -> Difference:
    return Difference(key.kind, key.name, finding, "", "")


def _differs(key: Key, name: str, before: Any, after: Any) -> Difference:
    if isinstance(before, frozenset) and isinstance(after, frozenset):
        before, after = before - after, after - before
    return Difference(key.kind, key.name, name, _shown(before), _shown(after))


def _shown(value: Any) -> str:
    if isinstance(value, frozenset):
        entries = sorted(f"{_name(who)}={what}{'*' * again}" for who, what, again in value)
        text = ", ".join(entries) or "without these grants"
    elif isinstance(value, dict):
        text = ", ".join(f"{count} with {_shown(acl)}" for acl, count in value.items())
    else:
        text = "not set" if value is None else " ".join(str(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _name(grantee: str) -> str:
    return {"": "PUBLIC", OWNER: "owner"}.get(grantee, grantee)


def _column_order(source: Catalog, target: Catalog) -> Iterator[Difference]:
    for names in source.tables.keys() & target.tables.keys():
        before = [column.name for column in source.tables[names].columns]
        after = [column.name for column in target.tables[names].columns]
        if before != after and sorted(before) == sorted(after):
            found = _differs(Key("table", names), "column order", before, after)
            yield replace(found, note=True)


def _noted(found: Difference, source: Catalog) -> Difference:
    note = (
        found.note
        or found.kind in NOTED
        or (found.kind == "extension" and found.finding != "missing")
        or (found.kind == "index" and _invalid(found, source))
    )
    return replace(found, note=note)


def _invalid(found: Difference, source: Catalog) -> bool:
    """Tell if the source's index is of no use: the target's being better is no loss."""
    if found.finding not in ("missing", "invalid"):
        return False
    return any(
        key.kind == "index" and properties.get("invalid") and key.name == found.object
        for key, properties in source.objects.items()
    )
