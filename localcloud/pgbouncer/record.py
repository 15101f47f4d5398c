"""What the cloud knows of a pooler. Its passwords are in its own file of users only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..model import Step, dns_name_of, state_of
from .configuration import Configuration, Target


@dataclass(slots=True)
class PoolerRecord:
    """A pooler: what was asked for, what is still to be done.

    :param databases: each name's host, port and dbname as they were asked for; where it leads by
        now is for the pooler to tell.
    """

    cloud: str
    name: str
    host: str
    port: int
    admin_user: str
    databases: dict[str, dict[str, Any]]
    users: list[str]
    pool_size: int
    max_clients: int
    created: str
    made: bool = False
    failure: str = ""
    steps: list[Step] = field(default_factory=list)

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> PoolerRecord:
        return cls(**{**value, "steps": [Step(**step) for step in value["steps"]]})

    @property
    def state(self) -> str:
        return state_of(self.steps, self.failure)

    @property
    def dns_name(self) -> str:
        return dns_name_of(self.name, self.cloud)

    def configuration(self) -> Configuration:
        return Configuration(
            name=self.name,
            host=self.host,
            port=self.port,
            admin_user=self.admin_user,
            databases={name: Target(**each) for name, each in self.databases.items()},
            dns_name=self.dns_name,
            pool_size=self.pool_size,
            max_clients=self.max_clients,
        )

    def told(self, ca: str, config_file: str) -> dict[str, Any]:
        """Return what the API answers; no secret is in it."""
        return {
            "cloud": self.cloud,
            "name": self.name,
            "state": self.state,
            "state_reason": self.failure,
            "host": self.host,
            "port": self.port,
            "dns_name": self.dns_name,
            "admin_user": self.admin_user,
            "databases": self.databases,
            "users": self.users,
            "pool_size": self.pool_size,
            "max_clients": self.max_clients,
            "config_file": config_file,
            "ca": ca,
            "created": self.created,
        }
