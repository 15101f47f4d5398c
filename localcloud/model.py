"""What the cloud knows of what it runs, as it is kept on disk and as the API tells it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from .postgres.configuration import Configuration

READY, FAILED = "ready", "failed"

# The state a server is in while a step of this kind is the next to be done.
STATES = {
    "create": "creating",
    "restore": "restoring",
    "configure": "updating",
    "password": "updating",
    "start": "restarting",
    "restart": "restarting",
    "backup": READY,
    "delete": "deleting",
}


def now() -> str:
    """Return the time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Step:
    """Something still to be done; it stays in the record until it is done, whoever dies."""

    kind: str
    argument: str = ""


class Kept(Protocol):
    """A record as any resource needs it: a dataclass that JSON can hold."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    cloud: str
    name: str
    host: str
    port: int
    made: bool
    failure: str
    steps: list[Step]

    @property
    def state(self) -> str: ...


def state_of(steps: list[Step], failure: str) -> str:
    """Return the state of a record: what is being done, or how the last of it ended."""
    if steps:
        return STATES[steps[0].kind]
    return FAILED if failure else READY


def dns_name_of(name: str, cloud: str) -> str:
    return f"{name.replace('_', '-')}.{cloud}.localcloud.test"


@dataclass(slots=True)
class Backup:
    """A backup of one server, or one being taken."""

    id: str
    state: str  # creating, ready, failed
    created: str
    version: int
    bytes: int = 0
    parameters: dict[str, str] = field(default_factory=dict)
    state_reason: str = ""

    def told(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "parameters"}


@dataclass(slots=True)
class Record:
    """A server: what was asked for, what is still to be done, what was last seen.

    The admin's password is kept as its SCRAM verifier only, and only here.
    """

    cloud: str
    name: str
    version: int
    host: str
    port: int
    admin_user: str
    admin_verifier: str
    parameters: dict[str, str]
    firewall: list[str]
    retention_days: int
    high_availability: bool
    storage_mb: int
    restore_from: dict[str, str] | None
    created: str
    made: bool = False
    failure: str = ""
    steps: list[Step] = field(default_factory=list)
    backups: list[Backup] = field(default_factory=list)
    observed: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> Record:
        steps = [Step(**step) for step in value.pop("steps")]
        backups = [Backup(**backup) for backup in value.pop("backups")]
        return cls(**value, steps=steps, backups=backups)

    @property
    def state(self) -> str:
        return state_of(self.steps, self.failure)

    @property
    def dns_name(self) -> str:
        return dns_name_of(self.name, self.cloud)

    def configuration(self) -> Configuration:
        return Configuration(
            name=self.name,
            major=self.version,
            host=self.host,
            port=self.port,
            admin_user=self.admin_user,
            dns_name=self.dns_name,
            firewall=tuple(self.firewall),
            parameters=dict(self.parameters),
        )

    def told(self, ca: str) -> dict[str, Any]:
        """Return what the API answers; no secret is in it."""
        return {
            "cloud": self.cloud,
            "name": self.name,
            "state": self.state,
            "state_reason": self.failure,
            "version": self.version,
            "host": self.host,
            "port": self.port,
            "dns_name": self.dns_name,
            "admin_user": self.admin_user,
            "parameters": self.observed,
            "pending_restart": any(each["pending_restart"] for each in self.observed.values()),
            "firewall": self.firewall,
            "backup": {"retention_days": self.retention_days},
            "high_availability": self.high_availability,
            "storage_mb": self.storage_mb,
            "restore_from": self.restore_from,
            "ca": ca,
            "created": self.created,
        }
