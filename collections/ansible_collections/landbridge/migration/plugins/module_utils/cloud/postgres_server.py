# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A managed Postgres server made as it is described, whoever provides it.

What can be read is compared and only differences are asked for. What a provider does not tell
(a driver's None) cannot be compared: it is named as unverified, never taken for equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any, NamedTuple

from ..errors import NotConvergedError, PreconditionError
from ..waiting import Deadline, pauses, retry, wait_for
from .parameters import same
from .server import READY, Driver, Server, Wanted
from .states import gone, idle, ready, refuse_failed, restarted, settled

SHOWN_S = 60.0  # a provider that accepted a change shows it by then, though its reads may lag

PasswordWorks = Callable[[Server, Wanted], bool]


class Change(NamedTuple):
    name: str
    before: Any
    after: Any


class Plan(NamedTuple):
    changes: list[Change]
    unverified: list[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done (in check mode, is due) and the server as it was read last."""

    server: Server | None
    changes: Sequence[Change] = ()
    unverified: Sequence[str] = ()
    restarted: bool = False
    changed: bool = field(default=False)


def plan(wanted: Wanted, found: Server | None) -> Plan:
    """Return what makes ``found`` as ``wanted``, ordered by name.

    Raise PreconditionError for a difference that only a new server resolves.
    """
    if found is None:
        return Plan([Change("state", "absent", "present"), *_described(wanted)], [])
    _refuse_another_server(wanted, found)
    compared = list(_compared(wanted, found))
    changes = [change for change, equal in compared if equal is False]
    return Plan(changes, [change.name for change, equal in compared if equal is None])


def converge(
    driver: Driver,
    wanted: Wanted,
    *,
    deadline: Deadline,
    restart_allowed: bool,
    password_works: PasswordWorks,
    check_mode: bool,
) -> Outcome:
    """Make the server as ``wanted``; return what changed (in check mode, what is due).

    Raise ApiError if the provider says that the server failed, NotConvergedError if parameters
    wait for a restart that is not allowed or if reading again shows something else.
    """
    wanted = replace(wanted, firewall=wanted.firewall and _networks(wanted.firewall))
    found = driver.read(wanted.name) if check_mode else settled(driver, wanted.name, deadline)
    refuse_failed(found)
    due = plan(wanted, found)
    if found and found.state == READY and wanted.admin_password:
        due.changes.extend(_password(found, wanted, password_works))
    allowed = restart_allowed or found is None
    if not check_mode and due.changes:
        found = _apply(driver, wanted, found, due.changes, deadline)
    restart = bool(found and _needs_restart(wanted, found, allowed))
    if found and not check_mode:
        found = restarted(driver, found, deadline) if restart else found
        if wanted.admin_password and (due.changes or restart):
            _prove_login(wanted, found, password_works, deadline)
    return Outcome(found, due.changes, due.unverified, restart, bool(due.changes) or restart)


def remove(driver: Driver, name: str, *, deadline: Deadline, check_mode: bool) -> Outcome:
    """Delete the server and wait until the provider says that it is gone."""
    found = driver.read(name) if check_mode else idle(driver, name, deadline)
    if found is None:
        return Outcome(None)
    if not check_mode:
        driver.delete(name)
        gone(driver, name, deadline)
    return Outcome(None, [Change("state", "present", "absent")], changed=True)


def _described(wanted: Wanted) -> Iterator[Change]:
    for name in ("version", "admin_user", "backup", "high_availability", "storage_mb"):
        if (value := getattr(wanted, name)) is not None:
            yield Change(name, None, value)
    if wanted.firewall is not None:
        yield Change("firewall", None, _networks(wanted.firewall))
    for name, value in sorted(wanted.parameters.items()):
        yield Change(f"parameters.{name}", None, value)
    if wanted.restore_from:
        yield Change("restore_from", None, wanted.restore_from)


def _refuse_another_server(wanted: Wanted, found: Server) -> None:
    for what, before, after in (
        ("Postgres", found.version, wanted.version),
        ("administered by", found.admin_user, wanted.admin_user),
    ):
        if after is not None and before != after:
            raise PreconditionError(
                f"server {found.name} is {what} {before}, {after} is described",
                hint="Describe a new server under another name, or describe this one as it is.",
            )
    if found.storage_mb and wanted.storage_mb and wanted.storage_mb < found.storage_mb:
        raise PreconditionError(
            f"server {found.name} has {found.storage_mb} MB of storage, which cannot shrink to"
            f" {wanted.storage_mb} MB"
        )


def _compared(wanted: Wanted, found: Server) -> Iterator[tuple[Change, bool | None]]:
    """Yield each described field and whether it is so already; None if nobody can tell."""
    if wanted.backup is not None:
        before = found.backup and {name: found.backup.get(name) for name in wanted.backup}
        yield _field("backup", before, wanted.backup)
    if wanted.firewall is not None:
        sources = None if found.firewall is None else _networks(found.firewall)
        yield _field("firewall", sources, _networks(wanted.firewall))
    for name in ("high_availability", "storage_mb"):
        if (after := getattr(wanted, name)) is not None:
            yield _field(name, getattr(found, name), after)
    for name, value in sorted(wanted.parameters.items()):
        known = found.parameters.get(name)
        equal = same(known.value, value) if known else _unset(found)
        yield Change(f"parameters.{name}", known and known.value, value), equal


def _field(name: str, before: Any, after: Any) -> tuple[Change, bool | None]:
    return Change(name, before, after), None if before is None else before == after


def _unset(found: Server) -> bool | None:
    return False if found.tells_all_parameters else None


def _networks(addresses: Sequence[str]) -> list[str]:
    try:
        return sorted(str(ip_network(address, strict=False)) for address in addresses)
    except ValueError as exc:
        raise PreconditionError(f"firewall: {exc}") from None


def _password(found: Server, wanted: Wanted, works: PasswordWorks) -> list[Change]:
    if works(found, wanted):
        return []
    return [Change("admin_password", "another", "as described")]


def _apply(
    driver: Driver, wanted: Wanted, found: Server | None, changes: list[Change], deadline: Deadline
) -> Server:
    if found is None:
        driver.create(wanted)
    else:
        driver.update(wanted.name, _request(wanted, changes))
    return _shown(driver, wanted, deadline)


def _request(wanted: Wanted, changes: list[Change]) -> dict[str, Any]:
    names = [change.name.partition(".") for change in changes]
    asked = {name: getattr(wanted, name) for name, dot, _unused in names if not dot}
    if parameters := {rest: wanted.parameters[rest] for _unused, dot, rest in names if dot}:
        asked["parameters"] = parameters
    return asked


def _shown(driver: Driver, wanted: Wanted, deadline: Deadline) -> Server:
    """Wait a little for reads that lag behind. Raise NotConvergedError if they go on differing."""
    patience = deadline.within(SHOWN_S)
    between = pauses()
    found = ready(driver, wanted.name, deadline)
    while left := plan(wanted, found).changes:
        if patience.passed:
            named = ", ".join(f"{change.name} is {change.before}" for change in left)
            raise NotConvergedError(
                f"server {wanted.name} took the changes and does not show them: {named}"
            )
        patience.pause(next(between))
        found = ready(driver, wanted.name, deadline)
    return found


def _prove_login(wanted: Wanted, found: Server, works: PasswordWorks, deadline: Deadline) -> None:
    """Raise NotConvergedError if the server does not take the password it was given."""
    wait_for(
        lambda: retry(lambda: works(found, wanted), deadline=deadline.within(SHOWN_S)),
        bool,
        what=f"server {found.name} to take the password of {found.admin_user}",
        deadline=deadline.within(SHOWN_S),
        last_seen=lambda _unused: "it was refused",
    )


def _needs_restart(wanted: Wanted, found: Server, allowed: bool) -> bool:
    waiting = [name for name in found.waiting_for_restart if name in wanted.parameters]
    unnamed = found.pending_restart and not found.waiting_for_restart
    if not waiting and not unnamed:
        return False
    if not allowed:
        named = ", ".join(waiting) or "some parameters"
        raise NotConvergedError(
            f"server {found.name} has to restart before these take effect: {named}",
            hint="Allow the restart (restart_allowed), or restart the server when it suits.",
        )
    return True
