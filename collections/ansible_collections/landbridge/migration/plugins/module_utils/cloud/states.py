# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for a server's states: a provider accepts at once and works on for minutes.

Right after a request a provider may still show what was before it (or nothing at all, after a
creation), so each wait names the state it wants and takes no other for an answer.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ApiError, NotConvergedError
from ..waiting import Deadline, wait_for
from .server import FAILED, READY, Driver, Server


def settled(driver: Driver, name: str, deadline: Deadline) -> Server | None:
    """Return the server once nothing is under way, None if it is not there (any more)."""
    return _wait(
        _healthy(driver, name),
        lambda server: server is None or _is_ready(server),
        f"server {name} to be ready",
        deadline,
    )


def ready(driver: Driver, name: str, deadline: Deadline) -> Server:
    """Return the server once it is there and ready."""
    return _there(_wait(_healthy(driver, name), _is_ready, f"server {name} to be ready", deadline))


def restarted(driver: Driver, found: Server, deadline: Deadline) -> Server:
    """Restart the server; return it once it is ready and no parameter waits any more."""
    driver.restart(found.name)
    return _there(
        _wait(
            _healthy(driver, found.name),
            lambda server: _is_ready(server) and not _there(server).pending_restart,
            f"server {found.name} to be ready with no parameter waiting",
            deadline,
        )
    )


def idle(driver: Driver, name: str, deadline: Deadline) -> Server | None:
    """Return the server once nothing is under way, be it ready or failed."""
    return _wait(
        lambda: driver.read(name),
        lambda server: server is None or server.state in (READY, FAILED),
        f"what is under way on server {name} to end",
        deadline,
    )


def gone(driver: Driver, name: str, deadline: Deadline) -> None:
    """Return once the provider says that there is no such server."""
    _wait(
        lambda: driver.read(name),
        lambda server: server is None,
        f"server {name} to be gone",
        deadline,
    )


def refuse_failed(server: Server | None) -> None:
    """Raise ApiError with the provider's reason if the server failed."""
    if server and server.state == FAILED:
        raise ApiError(
            f"server {server.name} failed: {server.state_reason or 'the provider gives no reason'}",
            hint="Repair it at the provider, or delete it (state: absent) and run again.",
        )


def _healthy(driver: Driver, name: str) -> Callable[[], Server | None]:
    def read() -> Server | None:
        server = driver.read(name)
        refuse_failed(server)
        return server

    return read


def _wait(
    read: Callable[[], Server | None],
    done: Callable[[Server | None], bool],
    what: str,
    deadline: Deadline,
) -> Server | None:
    return wait_for(read, done, what=what, deadline=deadline, last_seen=_state)


def _is_ready(server: Server | None) -> bool:
    return server is not None and server.state == READY


def _there(server: Server | None) -> Server:
    if server is None:
        raise NotConvergedError("the server is gone again")
    return server


def _state(server: Server | None) -> str:
    if server is None:
        return "no such server"
    return server.state + (server.state_reason and f" ({server.state_reason})")
