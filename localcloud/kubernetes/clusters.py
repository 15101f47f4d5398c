"""All clusters of both clouds: found again from their records when the daemon starts."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import files
from ..errors import Conflict, InvalidRequest, NotFound
from ..home import CLOUDS, Home, check_cloud
from ..model import FAILED, Step, now
from ..ports import free_port
from ..requests import check_name
from .binaries import kubernetes_version, program
from .configuration import API_SERVER, LOOPBACK
from .network import free_network
from .record import ClusterRecord
from .resource import ClusterResource


class Clusters:
    """The clusters, by cloud and name. Its methods are what the API offers."""

    def __init__(self, home: Home) -> None:
        home.make()
        self._home = home
        self._lock = threading.RLock()
        self._resources: dict[tuple[str, str], ClusterResource] = {}
        for cloud in CLOUDS:
            for path in sorted(home.clusters(cloud).glob("*.json")):
                self._add(ClusterRecord.of_json(files.read_json(path)))

    def begin(self) -> None:
        """Take up the clusters: those that run are kept, the others started."""
        for resource in self._all():
            resource.begin()

    def stop(self) -> None:
        """Stop all clusters, at the same time, and return when they are gone."""
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda resource: resource.leave(), self._all()))

    def told(self, cloud: str | None = None) -> list[dict[str, Any]]:
        """Return every cluster of a cloud, or of all."""
        if cloud is not None:
            check_cloud(cloud)
        return [each.told() for each in self._all() if cloud in (None, each.record.cloud)]

    def find(self, cloud: str, name: str) -> ClusterResource:
        """Return a cluster. Raise NotFound if it is not there."""
        check_cloud(cloud)
        with self._lock:
            if (cloud, name) not in self._resources:
                raise NotFound(f"cloud {cloud} has no cluster {name}")
            return self._resources[cloud, name]

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

    def delete(self, cloud: str, name: str) -> ClusterResource:
        found = self.find(cloud, name)
        if found.record.state != "deleting":
            found.request(Step("delete"))
        return found

    def _all(self) -> list[ClusterResource]:
        with self._lock:
            return [self._resources[key] for key in sorted(self._resources)]

    def _add(self, record: ClusterRecord) -> ClusterResource:
        path = self._home.clusters(record.cloud) / f"{record.name}.json"
        resource = ClusterResource(record, path, self._remove)
        self._resources[record.cloud, record.name] = resource
        return resource

    def _remove(self, resource: ClusterResource) -> None:
        with self._lock:
            del self._resources[resource.record.cloud, resource.record.name]

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
