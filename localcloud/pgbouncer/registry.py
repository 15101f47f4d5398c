"""The poolers of both clouds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Conflict
from ..model import FAILED, Step, now
from ..registry import Registry, check_cloud
from ..requests import check_name
from .record import PoolerRecord
from .resource import PoolerResource

# What a repeated request must describe as the first did.
COMPARED = ("admin_user", "databases", "users", "pool_size", "max_clients")


class Poolers(Registry[PoolerRecord, PoolerResource]):
    """The poolers, by cloud and name."""

    noun = "pooler"
    folder = "poolers"
    network = 32

    def _record_of(self, value: dict[str, Any]) -> PoolerRecord:
        return PoolerRecord.of_json(value)

    def _resource(self, record: PoolerRecord) -> PoolerResource:
        path = self._home.kept(record.cloud, self.folder) / f"{record.name}.json"
        return PoolerResource(record, path, self._authority, deleted=self._remove)

    def create(
        self, cloud: str, name: str, wanted: Mapping[str, Any]
    ) -> tuple[bool, PoolerResource]:
        """Return whether a pooler was begun, and the pooler."""
        check_cloud(cloud)
        check_name(name)
        passwords = {**wanted["users"], wanted["admin_user"]: wanted["admin_password"]}
        described = {**wanted, "users": sorted(wanted["users"])}
        with self._lock:
            found = self._resources.get((cloud, name))
            if found is not None and not self._again(found, described):
                return False, found
            resource = found or self._add(self._record(cloud, name, described))
            resource.keep(passwords)
            resource.request(Step("create"))
            if found is None:
                resource.begin()
            return True, resource

    def _again(self, found: PoolerResource, wanted: Mapping[str, Any]) -> bool:
        """Tell whether one that failed is to go on. Raise Conflict if it differs."""
        told = found.told()
        if differing := [key for key in COMPARED if told[key] != wanted[key]]:
            raise Conflict(
                f"{found.record.name} exists with another {', '.join(differing)}; delete it first"
            )
        return found.record.state == FAILED and not found.record.made

    def _record(self, cloud: str, name: str, wanted: Mapping[str, Any]) -> PoolerRecord:
        host, port = self._free_place(cloud)
        described = {key: wanted[key] for key in COMPARED}
        return PoolerRecord(
            cloud=cloud, name=name, host=host, port=port, created=now(), **described
        )
