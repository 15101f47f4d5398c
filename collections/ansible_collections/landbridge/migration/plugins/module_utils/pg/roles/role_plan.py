# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What makes a target's roles as the source's databases need them: a plan, from values alone.

A managed service's administrator is no superuser. From 16 on it may hand out only attributes it
has itself, and alter or grant only roles it has ADMIN OPTION on (its own creations); before that,
CREATEROLE allows all but SUPERUSER, REPLICATION and BYPASSRLS (Postgres, chapter 21.2). What it
may not do is a finding, so that a person with the rights can.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

from ..finding import Finding
from . import role_findings
from .roles import NOTHING, Member, Needed, Options, Role, Roles

# pg_roles' column and the word of CREATE ROLE that sets it.
ATTRIBUTES = {
    "rolsuper": "SUPERUSER",
    "rolinherit": "INHERIT",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolcanlogin": "LOGIN",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
}
VALUES = ("rolconnlimit", "rolvaliduntil")
SUPERUSERS_ONLY = frozenset({"rolsuper", "rolreplication", "rolbypassrls"})


@dataclass(frozen=True, slots=True)
class Target:
    """The server to change, and what whoever is connected may do there."""

    roles: Roles
    admin: str
    administered: Collection[str] = ()  # roles it has ADMIN OPTION on
    settable: Collection[str] = ()  # parameters it may set for a role

    @property
    def me(self) -> Role:
        return self.roles.roles[self.admin]

    def may_give(self, attribute: str) -> bool:
        """Tell if the administrator may give a role this attribute."""
        if self.me.rolsuper or attribute in ("rolinherit", "rolcanlogin"):
            return True
        if attribute == "rolsuper":
            return False
        if self.roles.version >= 16:
            return bool(getattr(self.me, attribute))
        return attribute not in SUPERUSERS_ONLY

    def may_alter(self, role: Role) -> bool:
        """Tell if the administrator may alter this role, or grant its membership."""
        if self.me.rolsuper:
            return True
        if role.rolsuper or not self.me.rolcreaterole:
            return False
        return self.roles.version < 16 or role.rolname in self.administered


class Create(NamedTuple):
    role: Role


class Alter(NamedTuple):
    rolname: str
    before: dict[str, Any]
    after: dict[str, Any]


class Configure(NamedTuple):
    rolname: str
    parameter: str
    before: str | None
    after: str


class Comment(NamedTuple):
    rolname: str
    before: str | None
    after: str


class Join(NamedTuple):
    """``member`` becomes one of ``role``, or its options change."""

    member: Member
    before: Options | None
    after: Options


Change: TypeAlias = "Create | Alter | Configure | Comment | Join"


@dataclass(frozen=True, slots=True)
class Plan:
    changes: list[Change] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The roles of the target by its own names."""

    roles: Mapping[str, Role]
    memberships: Mapping[Member, Options]
    owners: frozenset[str]


def mapped(source: Roles, needed: Needed, role_map: Mapping[str, str | None]) -> Wanted:
    """Return what ``needed`` is on the target. Roles mapped to one become one: all they could do.

    ``role_map`` gives a source role's name on the target, None for none; others keep theirs.
    """

    def name(rolname: str) -> str | None:
        return role_map.get(rolname, rolname)

    roles: dict[str, Role] = {}
    for rolname in sorted(needed.names):
        if (new := name(rolname)) is not None:
            role = replace(source.roles[rolname], rolname=new)
            roles[new] = _merged(roles[new], role) if new in roles else role
    memberships: dict[Member, Options] = {}
    for old, options in sorted(source.effective().items()):
        group, by = name(old.role), name(old.member)
        if group is not None and by is not None and group != by and old.member in needed.names:
            member = Member(group, by)
            memberships[member] = memberships.get(member, NOTHING).either(options)
    owners = frozenset(new for old in needed.owners if (new := name(old)) is not None)
    return Wanted(roles, memberships, owners)


def _merged(one: Role, other: Role) -> Role:
    gained = {name: getattr(one, name) or getattr(other, name) for name in ATTRIBUTES}
    return replace(one, **gained, settings={**other.settings, **one.settings})


def attributes(role: Role) -> dict[str, Any]:
    """Return the attributes in which the role differs from CREATE ROLE's defaults."""
    default = Role(role.rolname)
    names = (*ATTRIBUTES, *VALUES)
    return {n: getattr(role, n) for n in names if getattr(role, n) != getattr(default, n)}


def plan(wanted: Wanted, target: Target) -> Plan:
    """Return the changes in the order in which they are made, and what has to stay undone."""
    planned = Plan()
    for rolname, role in sorted(wanted.roles.items()):
        if rolname == target.admin:
            continue  # who it is is the server's description, not the source's
        if (found := target.roles.roles.get(rolname)) is None:
            _plan_new(role, target, planned)
        else:
            _plan_found(role, found, target, planned)
    _plan_memberships(wanted, target, planned)
    return planned


def _plan_new(role: Role, target: Target, planned: Plan) -> None:
    role = _givable(role, Role(role.rolname), target, planned)
    planned.changes.append(Create(role))
    planned.changes.extend(_settings(role, {}, target, planned))
    if role.comment is not None:
        planned.changes.append(Comment(role.rolname, None, role.comment))


def _plan_found(role: Role, found: Role, target: Target, planned: Plan) -> None:
    if found.is_servers_own:
        return
    role = _givable(role, found, target, planned)
    names = [n for n in (*ATTRIBUTES, *VALUES) if getattr(role, n) != getattr(found, n)]
    before, after = ({n: getattr(r, n) for n in names} for r in (found, role))
    changes: list[Change] = [Alter(role.rolname, before, after)] if names else []
    changes.extend(_settings(role, found.settings, target, planned))
    if role.comment not in (None, found.comment):
        changes.append(Comment(role.rolname, found.comment, str(role.comment)))
    if changes and not target.may_alter(found):
        planned.findings.append(role_findings.not_administered(role.rolname, target.admin))
        return
    planned.changes.extend(changes)


def _givable(role: Role, found: Role, target: Target, planned: Plan) -> Role:
    """Return the role with attributes that must stay as they are found left so, each a finding."""
    kept = [
        name
        for name in ATTRIBUTES
        if getattr(role, name) != getattr(found, name) and not target.may_give(name)
    ]
    for name in kept:
        if getattr(role, name):
            planned.findings.append(role_findings.not_givable(role.rolname, ATTRIBUTES[name]))
    return replace(role, **{name: getattr(found, name) for name in kept})


def _settings(
    role: Role, found: Mapping[str, str], target: Target, planned: Plan
) -> Iterator[Configure]:
    for parameter, value in sorted(role.settings.items()):
        if found.get(parameter) == value:
            continue
        if target.me.rolsuper or parameter.lower() in target.settable:
            yield Configure(role.rolname, parameter, found.get(parameter), value)
        else:
            planned.findings.append(role_findings.not_settable(role.rolname, parameter, value))


def _plan_memberships(wanted: Wanted, target: Target, planned: Plan) -> None:
    created = {change.role.rolname for change in planned.changes if isinstance(change, Create)}
    there = target.roles.roles.keys() | created
    memberships = {m: o for m, o in wanted.memberships.items() if m.member != target.admin}
    # To give objects to their owner and to act in its place, the administrator must be able to
    # become it; from 16 on ADMIN OPTION, which it has as the creator, does not include that.
    mine = {Member(owner, target.admin): Options() for owner in wanted.owners - {target.admin}}
    for member, options in sorted({**memberships, **mine}.items()):
        if member.role in there and member.member in there:
            _plan_membership(member, options, created, target, planned)
        elif member.role not in there:
            planned.findings.append(role_findings.no_such_group(member))


def _plan_membership(
    member: Member, options: Options, created: set[str], target: Target, planned: Plan
) -> None:
    effective = target.roles.effective().get(member)
    mine = next(
        (g.options for g in target.roles.grants if (g.member, g.grantor) == (member, target.admin)),
        None,
    )
    if member.member == target.admin:
        if effective and effective.inherit and effective.set:
            return
    else:
        options = _expressible(member, options, target, planned)
        if effective == options or mine == options:
            return
    found = target.roles.roles.get(member.role)
    if member.role in created or (found and _may_grant(found, target)):
        planned.changes.append(Join(member, effective, options))
    elif effective is None or any(w and not e for w, e in zip(options, effective, strict=True)):
        planned.findings.append(role_findings.not_grantable(member, target.admin))


def _may_grant(role: Role, target: Target) -> bool:
    # Predefined roles: ADMIN OPTION on them is needed in every major.
    if role.is_servers_own and not target.me.rolsuper:
        return role.rolname in target.administered
    return target.may_alter(role) or role.rolname in target.administered


def _expressible(member: Member, options: Options, target: Target, planned: Plan) -> Options:
    """Return the options as the target's major can express them."""
    if target.roles.version >= 16 or member.member not in target.roles.roles:
        return options
    inherit = target.roles.roles[member.member].rolinherit
    if (options.inherit, options.set) != (inherit, True):
        planned.findings.append(role_findings.options_lost(member, options))
    return Options(options.admin, inherit, True)
