"""What the cloud knows about a cluster, as it is kept on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..model import ResourceRecord, Step
from .configuration import Configuration
from .network import Network


@dataclass(slots=True, kw_only=True)
class ClusterRecord(ResourceRecord):
    """A cluster: where it is, and what is still to be done."""

    version: str
    network: int
    etcd_port: int
    etcd_peer_port: int

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> ClusterRecord:
        steps = [Step(**step) for step in value.pop("steps")]
        return cls(**value, steps=steps)

    def configuration(self) -> Configuration:
        return Configuration(
            cloud=self.cloud,
            name=self.name,
            network=Network(self.cloud, self.network),
            host=self.host,
            port=self.port,
            etcd_port=self.etcd_port,
            etcd_peer_port=self.etcd_peer_port,
            dns_name=self.dns_name,
        )
