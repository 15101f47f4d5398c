"""One cluster of a cloud: what each step does to it, and what the API tells of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..resource import Resource
from .cluster import Cluster
from .record import ClusterRecord


class ClusterResource(Resource[ClusterRecord]):
    """One cluster, its record at ``path`` (NAME.json), its files in the folder of that name."""

    def __init__(
        self,
        record: ClusterRecord,
        path: Path,
        images: Path,
        *,
        deleted: Callable[[ClusterRecord], None],
    ) -> None:
        self.cluster = Cluster(path.with_suffix(""), record.configuration(images))
        super().__init__(record, path, self.cluster, deleted)

    def told(self) -> dict[str, Any]:
        """Return what the API answers; the kubeconfig's path is told, not what it holds."""
        with self._lock:
            record, configuration = self.record, self.cluster.configuration
            return {
                "cloud": record.cloud,
                "name": record.name,
                "state": record.state,
                "state_reason": record.failure,
                "version": record.version,
                "endpoint": configuration.url,
                "dns_name": record.dns_name,
                "kubeconfig": str(self.cluster.admin_kubeconfig),
                "service_range": configuration.network.services,
                "audit_log": str(self.cluster.audit_log),
                "ca": self.cluster.ca,
                "created": record.created,
            }

    def _create(self, _: str) -> None:
        self.cluster.create()
        with self._lock:
            self.record.made = True
            self._save()
