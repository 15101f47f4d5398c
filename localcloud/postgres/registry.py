"""The Postgres servers of both clouds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import Conflict, InvalidRequest, NotFound
from ..model import FAILED, Backup, Record, Step, now
from ..registry import Registry, check_cloud
from ..requests import check_name
from . import managed, parameters
from .resource import ServerResource


class Servers(Registry[Record, ServerResource]):
    """The servers, by cloud and name."""

    noun = "server"
    folder = "postgres"
    network = 31

    def _record_of(self, value: dict[str, Any]) -> Record:
        return Record.of_json(value)

    def _resource(self, record: Record) -> ServerResource:
        return ServerResource(
            record,
            self._home.kept(record.cloud, self.folder) / f"{record.name}.json",
            self._authority,
            find_backup=lambda server, backup: self._backup_folder(record.cloud, server, backup),
            deleted=self._remove,
        )

    def create(
        self, cloud: str, name: str, wanted: Mapping[str, Any]
    ) -> tuple[bool, ServerResource]:
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

    def _create_again(self, found: ServerResource, wanted: Mapping[str, Any]) -> bool:
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

    def update(self, cloud: str, name: str, changes: Mapping[str, Any]) -> ServerResource:
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

    def restart(self, cloud: str, name: str) -> ServerResource:
        found = self.find(cloud, name)
        if not found.record.made:
            raise Conflict(f"{name} is not made yet; there is nothing to restart")
        found.request(Step("restart"))
        return found

    def _record(self, cloud: str, name: str, wanted: Mapping[str, Any]) -> Record:
        host, port = self._free_place(cloud)
        return Record(
            cloud=cloud,
            name=name,
            version=wanted["version"],
            host=host,
            port=port,
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
