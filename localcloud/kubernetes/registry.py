"""The clusters of both clouds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Conflict, InvalidRequest
from ..model import FAILED, Step, now
from ..ports import free_port
from ..registry import Registry, check_cloud
from ..requests import check_name
from .binaries import kubernetes_version, program
from .configuration import API_SERVER, LOOPBACK
from .network import free_network
from .record import ClusterRecord
from .resource import ClusterResource


class Clusters(Registry[ClusterRecord, ClusterResource]):
    """The clusters, by cloud and name."""

    noun = "cluster"
    folder = "kubernetes"

    def _record_of(self, value: dict[str, Any]) -> ClusterRecord:
        return ClusterRecord.of_json(value)

    def _resource(self, record: ClusterRecord) -> ClusterResource:
        path = self._home.kept(record.cloud, self.folder) / f"{record.name}.json"
        images = self._home.images(record.cloud)
        return ClusterResource(record, path, images, deleted=self._remove)

    def create(
        self, cloud: str, name: str, wanted: Mapping[str, Any]
    ) -> tuple[bool, ClusterResource]:
        """Return whether a cluster was begun, and the cluster."""
        check_cloud(cloud)
        check_name(name)
        offered = kubernetes_version()
        version = wanted.get("version", offered)
        if version != offered:
            raise InvalidRequest(f"version {version} is not offered; {offered} is")
        program("kubernetes", API_SERVER)
        with self._lock:
            if found := self._resources.get((cloud, name)):
                return self._create_again(found, version), found
            resource = self._add(self._record(cloud, name, version))
            resource.request(Step("create"))
            resource.begin()
            return True, resource

    def _create_again(self, found: ClusterResource, version: str) -> bool:
        """Answer a repeated request: go on with one that failed, refuse one that differs."""
        record = found.record
        if record.version != version:
            raise Conflict(f"{record.name} exists with version {record.version}; delete it first")
        if record.state != FAILED or record.made:
            return False
        found.request(Step("create"))
        return True

    def _record(self, cloud: str, name: str, version: str) -> ClusterRecord:
        every = [each.record for each in self._all()]
        taken = {
            port for each in every for port in (each.port, each.etcd_port, each.etcd_peer_port)
        }
        ports: list[int] = []
        for _ in range(3):
            ports.append(free_port([LOOPBACK], {*taken, *ports}))
        return ClusterRecord(
            cloud=cloud,
            name=name,
            version=version,
            host=LOOPBACK,
            port=ports[0],
            etcd_port=ports[1],
            etcd_peer_port=ports[2],
            network=free_network(cloud, {each.network for each in every}).number,
            created=now(),
        )
