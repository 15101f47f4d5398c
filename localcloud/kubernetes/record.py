"""What the cloud knows about a cluster, as it is kept on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..model import Step, dns_name_of, state_of
from .configuration import Configuration
from .network import Network


@dataclass(slots=True)
class ClusterRecord:
    """A cluster: where it is, and what is still to be done."""

    cloud: str
    name: str
    version: str
    host: str
    port: int
    etcd_port: int
    etcd_peer_port: int
    network: int
    created: str
    made: bool = False
    failure: str = ""
    steps: list[Step] = field(default_factory=list)

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> ClusterRecord:
        return cls(**{**value, "steps": [Step(**step) for step in value["steps"]]})

    @property
    def state(self) -> str:
        return state_of(self.steps, self.failure)

    @property
    def dns_name(self) -> str:
        return dns_name_of(self.name, self.cloud)

    def configuration(self, images: Path) -> Configuration:
        return Configuration(
            cloud=self.cloud,
            name=self.name,
            network=Network(self.cloud, self.network),
            host=self.host,
            port=self.port,
            etcd_port=self.etcd_port,
            etcd_peer_port=self.etcd_peer_port,
            dns_name=self.dns_name,
            images=str(images),
        )
