# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the facts of both sides mean for a migration: findings, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..catalog.catalog_diff import PUBLIC_CREATE, PUBLIC_SCHEMA, RoleMap
from ..finding import Finding
from ..follow.reach import Attempt
from . import audit_hazards, live_rules
from .audit_facts import Facts
from .audit_hazards import several

OLDEST_SOURCE = 10
OLDEST_TARGET = 13


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be done, and what is known.

    :param target: None while there is no server.
    :param databases: how many are followed between these servers at the same time.
    :param forward: in live mode, the target's attempt to connect to the source.
    :param back: the source's attempt to connect to the target.
    """

    source: Facts
    target: Facts | None
    role_map: RoleMap
    mode: str
    fence: bool
    databases: int = 1
    forward: Attempt | None = None
    back: Attempt | None = None


def findings(question: Question) -> list[Finding]:
    """Return everything worth telling, what stands in the way first."""
    found = [*audit_hazards.findings(question.source), *_source_rules(question)]
    if question.target:
        found += _target_rules(question, question.target)
    if question.mode == "live":
        found += live_rules.findings(_sides(question))
    order = {"blocker": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda each: (order[each.severity], each.code, each.object))


def _sides(question: Question) -> live_rules.Sides:
    return live_rules.Sides(
        question.source, question.target, question.databases, question.forward, question.back
    )


def _source_rules(question: Question) -> Iterator[Finding]:
    source = question.source
    if source.version // 10000 < OLDEST_SOURCE:
        yield _blocker(
            "unsupported_major",
            "source",
            f"source: Postgres {_major(source)} is older than {OLDEST_SOURCE}",
            "Upgrade it first.",
        )
    if question.fence:
        yield from _fence_rules(source)
    yield from _superusers_objects(question)


def _fence_rules(source: Facts) -> Iterator[Finding]:
    server = source.server
    if not (server.may_fence or server.superuser):
        yield _blocker(
            "may_not_fence",
            server.dbname,
            f"source: {server.user} may not revoke CONNECT on {server.dbname}, which is"
            f" {server.owner}'s",
            f'Run GRANT "{server.owner}" TO "{server.user}".',
        )
    if not server.may_signal:
        yield _blocker(
            "may_not_signal",
            server.user,
            f"source: {server.user} may not end the sessions of others",
            f'Run GRANT pg_signal_backend TO "{server.user}".',
        )
    own = source.roles.get(server.user)
    if own and own.sessions:
        yield _blocker(
            "unfenceable_role",
            f"role {server.user}",
            f"source: {own.sessions} sessions of others than Landbridge use its own role,"
            f" {server.user}, which a fence must let in",
            "Give the application, or Landbridge, a role of its own; close sessions of people.",
        )
    for role in source.roles.values():
        if role.superuser and role.login and role.rolname != server.user and role.sessions:
            yield Finding(
                "unfenceable_role",
                "warning",
                f"role {role.rolname}",
                f"source: {role.rolname} is a superuser with {role.sessions} sessions here: no"
                " fence keeps it out",
                "Make sure that it does not write, such as a provider's monitoring.",
            )


def _superusers_objects(question: Question) -> Iterator[Finding]:
    for rolname, objects in sorted(_owned(question.source).items()):
        role = question.source.roles.get(rolname)
        if not (role and role.superuser) or rolname in question.role_map:
            continue
        if question.target and rolname in question.target.roles:
            continue
        yield _blocker(
            "role_unmapped",
            f"role {rolname}",
            f"source: {rolname} is a superuser and owns {several(objects)}",
            f"Map it in the role map: {rolname}: another role, or null to leave it out.",
        )


def _owned(facts: Facts) -> dict[str, list[str]]:
    """Return what each role owns, or is the giver of by default."""
    owned: dict[str, list[str]] = {}
    for key, properties in facts.catalog.objects.items():
        if key == PUBLIC_SCHEMA:  # the bootstrap superuser's before 15
            continue
        of_role = key.kind in ("default privileges", "large objects")
        owner = key.names[0] if of_role else properties.get("owner")
        if owner and owner != "pg_database_owner":
            owned.setdefault(owner, []).append(str(key))
    return owned


def _granted(facts: Facts) -> dict[str, list[str]]:
    """Return what each role that owns nothing may do something with."""
    granted: dict[str, list[str]] = {}
    for key, properties in facts.catalog.objects.items():
        names = {entry[0] for entry in properties.get("acl") or ()}
        for name in names | set(properties.get("roles") or ()):
            if name and name not in (properties.get("owner"), "pg_database_owner"):
                granted.setdefault(name, []).append(str(key))
    return granted


def _target_rules(question: Question, target: Facts) -> Iterator[Finding]:
    source = question.source
    yield from _same_database(source, target)
    yield from _majors(source, target)
    yield from _extensions(source, target)
    yield from _roles(question, target)
    yield from _public_schema(source, target)
    if not target.database_exists:
        yield Finding(
            "database_missing",
            "note",
            target.wanted_dbname,
            f"target: there is no database {target.wanted_dbname} yet",
            "The postgres stage makes it.",
        )
        return
    yield from _database(source, target)


def _same_database(source: Facts, target: Facts) -> Iterator[Finding]:
    one, other = source.server, target.server
    if not target.database_exists:
        return
    known = source.identifier and target.identifier
    same_server = source.identifier == target.identifier if known else one.started == other.started
    if same_server and one.oid == other.oid:
        yield _blocker(
            "same_database",
            one.dbname,
            f"source and target are the same database, {one.dbname}",
            "Correct the target in the inventory. A physical copy of the source, such as a"
            " standby or a restored backup, cannot be the target either.",
        )


def _majors(source: Facts, target: Facts) -> Iterator[Finding]:
    if target.version // 10000 < source.version // 10000:
        yield _blocker(
            "older_major",
            "target",
            f"target: Postgres {_major(target)} is older than the source's {_major(source)}",
            "Make the target with the same or a newer major.",
        )
    if target.version // 10000 < OLDEST_TARGET:
        yield _blocker(
            "unsupported_major",
            "target",
            f"target: Postgres {_major(target)} is older than {OLDEST_TARGET}",
            "Make the target with a newer major.",
        )


def _public_schema(source: Facts, target: Facts) -> Iterator[Finding]:
    granted = source.catalog.objects.get(PUBLIC_SCHEMA, {}).get("acl") or []
    if source.version < 150000 <= target.version and list(PUBLIC_CREATE) in granted:
        yield Finding(
            "public_schema",
            "warning",
            "schema public",
            "every role may create objects in schema public on the source; since Postgres 15 only"
            " the database's owner may",
            "Run GRANT CREATE ON SCHEMA public to the roles that need it on the target.",
        )


def _extensions(source: Facts, target: Facts) -> Iterator[Finding]:
    for key, properties in source.catalog.objects.items():
        if key.kind != "extension":
            continue
        name, version = key.names[0], properties["version"]
        allowed = target.allowed is None or name in target.allowed or name == "plpgsql"
        if name not in target.extensions:
            yield _blocker(
                "extension_missing",
                f"extension {name}",
                f"target: extension {name} is not available",
                "Drop it on the source if it is not used, or choose a target that has it.",
            )
        elif not allowed:
            yield _blocker(
                "extension_not_allowed",
                f"extension {name}",
                f"target: the parameter azure.extensions does not allow extension {name}",
                f"Add {name} to azure.extensions.",
            )
        elif version not in target.extensions[name]:
            yield Finding(
                "extension_version",
                "note",
                f"extension {name}",
                f"target: extension {name} is not available in version {version}",
                "The target's default version is taken.",
            )


def _roles(question: Question, target: Facts) -> Iterator[Finding]:
    owned, granted = _owned(question.source), _granted(question.source)
    for rolname in sorted(owned.keys() | granted.keys()):
        mapped = question.role_map.get(rolname, rolname)
        if mapped is None:
            continue
        objects = owned.get(rolname, []) + granted.get(rolname, [])
        role = target.roles.get(mapped)
        if role is None:
            yield Finding(
                "role_missing",
                "warning",
                f"role {mapped}",
                f"target: there is no role {mapped} yet, for {several(objects)}",
                "The postgres stage makes it, unless the role map says otherwise.",
            )
        elif rolname in owned and not (role.member or _may_join(target)):
            user = target.server.user
            yield _blocker(
                "role_not_grantable",
                f"role {mapped}",
                f"target: {user} is not a member of {mapped} and cannot make it an owner",
                f'Run GRANT "{mapped}" TO "{user}".',
            )


def _may_join(target: Facts) -> bool:
    # Before 16, CREATEROLE could grant any role that is no superuser's.
    server = target.server
    return server.superuser or (server.createrole and target.version < 160000)


def _database(source: Facts, target: Facts) -> Iterator[Finding]:
    one, other = source.server, target.server
    if one.encoding != other.encoding:
        yield _blocker(
            "encoding",
            other.dbname,
            f"target: {other.dbname} is {other.encoding}, the source's is {one.encoding}",
            f"Make the database again WITH ENCODING '{one.encoding}' TEMPLATE template0.",
        )
    if (one.datcollate, one.datctype) != (other.datcollate, other.datctype):
        yield Finding(
            "locale",
            "warning",
            other.dbname,
            f"target: {other.dbname} sorts by {other.datcollate} ({other.datctype}), the source's"
            f" by {one.datcollate} ({one.datctype})",
            "Make the database again with the source's locale if texts must sort alike.",
        )
    if not other.may_create:
        yield _blocker(
            "may_not_create",
            other.dbname,
            f"target: {other.user} may not create schemas in {other.dbname}",
            f'Run GRANT CREATE ON DATABASE "{other.dbname}" TO "{other.user}".',
        )
    yield from _not_empty(target)


def _not_empty(target: Facts) -> Iterator[Finding]:
    if target.ours:
        yield Finding(
            "copy_begun",
            "note",
            target.server.dbname,
            f"target: {target.server.dbname} has schema landbridge: a copy was begun",
            "It goes on where it was.",
        )
        return
    kinds = ("table", "foreign table", "materialized view", "view", "sequence")
    names = [key.name for key in target.catalog.objects if key.kind in kinds]
    if names:
        yield _blocker(
            "target_not_empty",
            target.server.dbname,
            f"target: {target.server.dbname} already holds {several(names)}",
            "Name another database, or drop what is there.",
        )


def _major(facts: Facts) -> int:
    return facts.version // 10000


def _blocker(code: str, name: str, message: str, remedy: str) -> Finding:
    return Finding(code, "blocker", name, message, remedy)
