# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Postgres server as its provider describes it, and what every provider's driver can do.

A driver asks and reads, nothing more: it never waits, plans or decides. Providers answer at
once and work on for minutes, so create(), update(), restart() and delete() return when the
provider has accepted the request; what became of it is what read() shows. That keeps waiting,
retrying and check mode in one place for all of them (postgres_server.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

READY = "ready"
FAILED = "failed"


class Parameter(NamedTuple):
    """A server parameter: its value, and if that value waits for a restart."""

    value: str
    pending_restart: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """What a provider tells about one server. None: this provider does not tell."""

    name: str
    state: str  # creating, ready, updating, restarting, restoring, deleting, failed
    state_reason: str
    version: int
    host: str
    port: int
    admin_user: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    pending_restart: bool = False
    firewall: Sequence[str] | None = None
    backup: Mapping[str, Any] | None = None
    high_availability: bool | None = None
    storage_mb: int | None = None
    ca: str | None = None  # PEM
    sslmode: str = "verify-full"
    sslrootcert: str | None = None  # a file that is already here
    dbname: str = "postgres"  # one that every administrator can connect to
    tells_all_parameters: bool = True  # one that is not among them was never set

    @property
    def waiting_for_restart(self) -> list[str]:
        return sorted(name for name, found in self.parameters.items() if found.pending_restart)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a server must be. None, or a parameter not named: left as it is."""

    name: str
    version: int | None = None
    admin_user: str | None = None
    admin_password: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)
    firewall: Sequence[str] | None = None
    backup: Mapping[str, Any] | None = None
    high_availability: bool | None = None
    storage_mb: int | None = None
    restore_from: Mapping[str, Any] | None = None


class Driver(Protocol):
    """One provider's managed Postgres. Every method may raise ApiError or PreconditionError.

    create(), update() and delete() are safe to repeat: each names the end, not the step.
    """

    def read(self, name: str) -> Server | None:
        """Return the server, or None if the provider says that there is none.

        No answer, a refusal and an answer of something else are errors, never None.
        """

    def create(self, wanted: Wanted) -> None:
        """Ask for a new server."""

    def update(self, name: str, changes: Mapping[str, Any]) -> None:
        """Ask for ``changes``: fields of Wanted, only those that differ."""

    def restart(self, name: str) -> None:
        """Ask for a restart, so that pending parameters take effect."""

    def delete(self, name: str) -> None:
        """Ask for the server's deletion."""

    def backups(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Return the server's backups, the oldest first."""

    def back_up(self, name: str) -> Mapping[str, Any]:
        """Ask for a backup now; return its description."""
