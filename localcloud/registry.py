"""All servers of both clouds: found again from their records when the daemon starts."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import files
from .certificates import Authority
from .errors import Conflict, InvalidRequest, LocalCloudError, NotFound
from .home import CLOUDS, Home, check_cloud
from .model import FAILED, Backup, Record, Step, now
from .ports import free_port
from .postgres import managed, parameters
from .requests import check_name
from .resource import Resource

ANYWHERE = "127.0.0.1"


class Registry:
    """The servers, by cloud and name. Its methods are what the API offers."""

    def __init__(self, home: Home) -> None:
        home.make()
        self._home = home
        self._authority = Authority(home.root)
        self._lock = threading.RLock()
        self._resources: dict[tuple[str, str], Resource] = {}
        for cloud in CLOUDS:
            for path in sorted(home.servers(cloud).glob("*.json")):
                self._add(Record.of_json(files.read_json(path)))

    def begin(self) -> None:
        """Take up the servers: those that run are kept, the others started."""
        for resource in self._all():
            resource.begin()

    def stop(self) -> None:
        """Stop all servers, at the same time, and return when they are gone."""
        with ThreadPoolExecutor(max_workers=16) as pool:
            list(pool.map(lambda resource: resource.leave(), self._all()))

    def servers(self, cloud: str | None = None) -> list[dict[str, Any]]:
        """Return every server of a cloud, or of all."""
        if cloud is not None:
            check_cloud(cloud)
        return [each.told() for each in self._all() if cloud in (None, each.record.cloud)]

    def find(self, cloud: str, name: str) -> Resource:
        """Return a server. Raise NotFound if it is not there."""
        check_cloud(cloud)
        with self._lock:
            if (cloud, name) not in self._resources:
                raise NotFound(f"cloud {cloud} has no server {name}")
            return self._resources[cloud, name]

    def create(self, cloud: str, name: str, wanted: Mapping[str, Any]) -> tuple[bool, Resource]:
        """Return whether a server was begun, and the server."""
        check_cloud(cloud)
        check_name(name)
        parameters.check(wanted["version"], wanted["parameters"])
        with self._lock:
            if found := self._resources.get((cloud, name)):
                return self._create_again(found, wanted), found
            source = self._backup_of(cloud, wanted["restore_from"])
            inherited = source.parameters if source else {}
            if source and source.version != wanted["version"]:
                raise InvalidRequest(
                    f"the backup is of version {source.version}, not {wanted['version']}"
                )
            customer = {**inherited, **wanted["parameters"]}
            resource = self._add(self._record(cloud, name, {**wanted, "parameters": customer}))
            resource.request(_making(resource.record))
            resource.begin()
            return True, resource

    def _create_again(self, found: Resource, wanted: Mapping[str, Any]) -> bool:
        """Answer a repeated request: go on with one that failed, refuse one that differs."""
        told = found.told()
        comparable = [key for key in wanted if key not in ("admin_password", "parameters")]
        differing = [key for key in comparable if told[key] != wanted[key]]
        stored = found.record.parameters
        if any(stored.get(key) != value for key, value in wanted["parameters"].items()):
            differing.append("parameters")
        if differing:
            raise Conflict(
                f"{found.record.name} exists with another {', '.join(differing)};"
                " change what can be changed with PATCH, or delete it"
            )
        if found.record.state != FAILED or found.record.made:
            return False
        fresh = managed.verifier(wanted["admin_user"], wanted["admin_password"])
        found.request(
            _making(found.record), change=lambda record: setattr(record, "admin_verifier", fresh)
        )
        return True

    def update(self, cloud: str, name: str, changes: Mapping[str, Any]) -> Resource:
        """Change a server as far as ``changes`` says."""
        found = self.find(cloud, name)
        record = found.record
        if not record.made and record.state == FAILED:
            raise Conflict(f"{name} was not made ({record.failure}); put it again or delete it")
        customer = _merged(record.parameters, changes.get("parameters", {}))
        parameters.check(record.version, customer)
        steps = [Step("configure")]
        verifier = ""
        if "admin_password" in changes:
            verifier = managed.verifier(record.admin_user, changes["admin_password"])
            steps.append(Step("password"))

        def change(record: Record) -> None:
            record.parameters = customer
            record.admin_verifier = verifier or record.admin_verifier
            record.firewall = changes.get("firewall", record.firewall)
            record.high_availability = changes.get("high_availability", record.high_availability)
            record.storage_mb = changes.get("storage_mb", record.storage_mb)
            kept = changes.get("backup", {"retention_days": record.retention_days})
            record.retention_days = kept["retention_days"]

        found.request(*steps, change=change)
        return found

    def restart(self, cloud: str, name: str) -> Resource:
        found = self.find(cloud, name)
        if not found.record.made:
            raise Conflict(f"{name} is not made yet; there is nothing to restart")
        found.request(Step("restart"))
        return found

    def delete(self, cloud: str, name: str) -> Resource:
        found = self.find(cloud, name)
        if found.record.state != "deleting":
            found.request(Step("delete"))
        return found

    def _all(self) -> list[Resource]:
        with self._lock:
            return [self._resources[key] for key in sorted(self._resources)]

    def _add(self, record: Record) -> Resource:
        path = self._home.servers(record.cloud) / f"{record.name}.json"
        resource = Resource(
            record,
            path,
            self._authority,
            find_backup=lambda server, backup: self._backup_folder(record.cloud, server, backup),
            deleted=self._remove,
        )
        self._resources[record.cloud, record.name] = resource
        return resource

    def _remove(self, resource: Resource) -> None:
        with self._lock:
            del self._resources[resource.record.cloud, resource.record.name]

    def _record(self, cloud: str, name: str, wanted: Mapping[str, Any]) -> Record:
        host = self._free_address(cloud)
        taken = {each.record.port for each in self._all()}
        return Record(
            cloud=cloud,
            name=name,
            version=wanted["version"],
            host=host,
            port=free_port([host, ANYWHERE], taken),
            admin_user=wanted["admin_user"],
            admin_verifier=managed.verifier(wanted["admin_user"], wanted["admin_password"]),
            parameters=dict(wanted["parameters"]),
            firewall=list(wanted["firewall"]),
            retention_days=wanted["backup"]["retention_days"],
            high_availability=wanted["high_availability"],
            storage_mb=wanted["storage_mb"],
            restore_from=wanted["restore_from"],
            created=now(),
        )

    def _free_address(self, cloud: str) -> str:
        """Return the cloud's lowest loopback address that no server has."""
        taken = {each.record.host for each in self._all()}
        for last in range(1, 255):
            address = f"127.31.{CLOUDS.index(cloud) + 1}.{last}"
            if address not in taken:
                return address
        raise LocalCloudError(f"cloud {cloud} is full", code="full", status=507)

    def _backup_of(self, cloud: str, wanted: Mapping[str, str] | None) -> Backup | None:
        if wanted is None:
            return None
        try:
            found = self.find(cloud, wanted["server"]).backup(wanted["backup"])
        except NotFound as exc:
            raise InvalidRequest(f"restore_from: {exc}") from None
        if found.state != "ready":
            raise Conflict(f"backup {found.id} is {found.state}")
        return found

    def _backup_folder(self, cloud: str, server: str, backup: str) -> Path:
        found = self.find(cloud, server)
        return found.backups_folder / found.backup(backup).id


def _making(record: Record) -> Step:
    return Step("restore" if record.restore_from else "create")


def _merged(found: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**found, **changes}
    return {name: value for name, value in merged.items() if value is not None}
