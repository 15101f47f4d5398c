# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give the target's objects the owners and grants that the source's have, roles mapped.

What is carried over is how the source differs from what a server grants by itself, as pg_dump
does it: a newer server grants its owners more (MAINTAIN came with 17), and keeps that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ..text import ident
from .findings import Finding
from .ownership import PUBLIC, Acl, Found, Key, Right, State, States, read
from .statements import try_all

if TYPE_CHECKING:
    from psycopg import Connection

# Grants given on by grantees need those grantees' grants first: each round adds a link.
ROUNDS = 4

DEFAULT_KINDS = {
    "r": "TABLES", "S": "SEQUENCES", "f": "ROUTINES", "T": "TYPES", "n": "SCHEMAS",
    "L": "LARGE OBJECTS",
}  # fmt: skip

MAY_CREATE = """\
SELECT nspname, rolname
  FROM unnest(%s::text[], %s::text[]) AS asked (nspname, rolname)
 WHERE NOT has_schema_privilege(rolname, nspname, 'CREATE')"""


class Roles(NamedTuple):
    """How the source's roles are called on the target, where they exist."""

    role_map: Mapping[str, str | None]
    existing: frozenset[str]

    def target(self, role: str) -> str | None:
        """Return the target's name of a source's role; None if it has none there."""
        mapped = self.role_map.get(role, role)
        return mapped if mapped == PUBLIC or mapped in self.existing else None

    def missing(self, role: str) -> bool:
        """Tell if a role should be there and is not; one mapped to None should not."""
        mapped = self.role_map.get(role, role)
        return mapped is not None and mapped != PUBLIC and mapped not in self.existing


def converge(
    wanted: States, target: Connection, role_map: Mapping[str, str | None]
) -> list[Finding]:
    """Make the target's owners and grants the source's. Return what could not be."""
    found = read(target)
    roles = Roles(role_map, found.roles)
    findings = list(_missing_roles(wanted, roles))
    owners = plan_owners(wanted, found.states, roles)
    if owners:
        statements = [*_let_create(wanted, found.states, roles, target), *owners]
        findings += _findings("owner_not_set", try_all(target, statements))
    problems: list[Mapping[str, str]] = []
    before: list[str] = []
    for _unused in range(ROUNDS):
        changes = plan_grants(wanted, _reread(target).states, roles)
        if not changes or changes == before:
            break
        problems, before = try_all(target, changes), changes
    return findings + _findings("grant_not_set", problems)


def _reread(target: Connection) -> Found:
    return read(target)


def plan_owners(wanted: States, found: States, roles: Roles) -> list[str]:
    """Return the statements that give objects their owners; schemas come first."""
    statements = []
    for key, state in wanted.items():
        owner = roles.target(state.owner)
        now = found.get(key)
        if state.fixed or key.part or now is None or owner is None or now.owner == owner:
            continue
        kind = "SERVER" if key.kind == "FOREIGN SERVER" else key.kind
        statements.append(f"ALTER {kind} {key.identity} OWNER TO {ident(owner)}")
    return sorted(statements, key=lambda text: not text.startswith("ALTER SCHEMA "))


def _let_create(wanted: States, found: States, roles: Roles, target: Connection) -> Iterator[str]:
    """Yield grants that new owners need for a moment; the grants' own plan takes them back."""
    asked = sorted(
        {
            (state.nspname, owner)
            for key, state in wanted.items()
            if state.nspname and key in found and (owner := roles.target(state.owner))
        }
    )
    rows = target.execute(MAY_CREATE, [[each[0] for each in asked], [each[1] for each in asked]])
    for nspname, role in rows:
        yield f"GRANT CREATE ON SCHEMA {ident(nspname)} TO {ident(role)}"


def plan_grants(wanted: States, found: States, roles: Roles) -> list[str]:
    """Return the statements that make the rights in ``found`` those that are wanted."""
    statements: list[str] = []
    for key, state in wanted.items():
        mapped = _mapped_key(key, roles)
        now = found.get(mapped) if mapped else None
        if mapped is None or (now is None and not (key.part or key.kind == "DEFAULT")):
            continue
        now = now or _untouched(mapped, state, found)
        desired = desired_acl(state, now, roles)
        statements += _changes(mapped, now, desired)
    for key, now in found.items():  # columns and default privileges that only the target has
        if key.part and key.kind == "TABLE" and key not in wanted:
            statements += _changes(key, now, {})
    return statements


def _mapped_key(key: Key, roles: Roles) -> Key | None:
    if not key.role:
        return key
    role = roles.target(key.role)
    return key._replace(role=role) if role else None


def _untouched(key: Key, wanted: State, found: States) -> State:
    """Return the state of a column or default privileges that were never granted."""
    table = found.get(Key("TABLE", key.identity))
    owner = key.role or (table.owner if table else "")
    default = {
        Right(owner, owner if right.grantee == wanted.owner else right.grantee, right.privilege): on
        for right, on in wanted.default.items()
    }
    return State(owner, True, "", default, default)


def desired_acl(wanted: State, now: State, roles: Roles) -> Acl:
    """Return the target's default rights with the source's deviations from its own."""

    def mapped(role: str) -> str | None:
        return now.owner if role == wanted.owner else roles.target(role)

    def translated(rights: Iterable[Right]) -> Iterator[tuple[Right, Right]]:
        for right in rights:
            grantor, grantee = mapped(right.grantor), mapped(right.grantee)
            if grantee is not None:
                # A grantor that did not come along leaves its grants to the owner.
                yield right, Right(grantor or now.owner, grantee, right.privilege)

    desired = dict(now.default)
    for right, new in translated(wanted.default):
        if right not in wanted.acl:
            desired.pop(new, None)
    for right, new in translated(wanted.acl):
        if wanted.default.get(right) != wanted.acl[right]:
            desired[new] = wanted.acl[right]
    return desired


def _changes(key: Key, now: State, desired: Acl) -> Iterator[str]:
    """Yield REVOKE and GRANT for one object; what may be passed on comes first."""
    revoked: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    granted: dict[tuple[str, str, bool], list[str]] = defaultdict(list)
    for right, passable in now.acl.items():
        if right not in desired:
            revoked[right.grantor, right.grantee, ""].append(right.privilege)
        elif passable and not desired[right]:
            revoked[right.grantor, right.grantee, "GRANT OPTION FOR "].append(right.privilege)
    for right, passable in desired.items():
        if right not in now.acl or (passable and not now.acl[right]):
            granted[right.grantor, right.grantee, passable].append(right.privilege)
    for (grantor, grantee, option), privileges in revoked.items():
        text = f"REVOKE {option}{_listed(privileges, key)} {_on(key)} FROM {_grantee(grantee)}"
        yield _as(grantor, now.owner, key, text)
    for (grantor, grantee, passable), privileges in sorted(
        granted.items(), key=lambda item: (item[0][0] != now.owner, not item[0][2], item[0])
    ):
        option = " WITH GRANT OPTION" if passable and grantee != now.owner else ""
        text = f"GRANT {_listed(privileges, key)} {_on(key)} TO {_grantee(grantee)}{option}"
        yield _as(grantor, now.owner, key, text)


def _listed(privileges: Iterable[str], key: Key) -> str:
    column = f" ({key.part})" if key.kind == "TABLE" and key.part else ""
    return ", ".join(f"{privilege}{column}" for privilege in sorted(privileges))


def _on(key: Key) -> str:
    if key.kind == "DEFAULT":
        return f"ON {DEFAULT_KINDS[key.identity]}"
    return f"ON {key.kind} {key.identity}"


def _grantee(role: str) -> str:
    return "PUBLIC" if role == PUBLIC else ident(role)


def _as(grantor: str, owner: str, key: Key, text: str) -> str:
    """Return ``text`` so that the right is recorded as given by ``grantor``."""
    if key.kind == "DEFAULT":
        schema = f" IN SCHEMA {key.part}" if key.part else ""
        return f"ALTER DEFAULT PRIVILEGES FOR ROLE {ident(key.role)}{schema} {text}"
    if grantor == owner:  # members of the owner grant in its name
        return text
    return f"SET LOCAL ROLE {ident(grantor)}; {text}; RESET ROLE"


def _missing_roles(wanted: States, roles: Roles) -> Iterator[Finding]:
    """Yield one finding a role that objects or grants name and the target lacks."""
    uses: dict[str, int] = defaultdict(int)
    for state in wanted.values():
        named = {state.owner} if not state.fixed else set()
        named |= {right.grantee for right in state.acl if right not in state.default}
        for role in named:
            if roles.missing(role):
                uses[role] += 1
    for role, count in sorted(uses.items()):
        yield Finding(
            "role_missing",
            role,
            f"owns or may use {count} objects of the source, and the target has no such role",
            "Create the role on the target, or name another for it in role_map, and run again.",
        )


def _findings(code: str, problems: Iterable[Mapping[str, str]]) -> list[Finding]:
    remedy = "Grant the role of the target connection what is missing, or do it by hand."
    return [Finding(code, problem["statement"], problem["message"], remedy) for problem in problems]
