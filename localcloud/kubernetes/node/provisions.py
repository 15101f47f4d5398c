"""What a pod's containers are started with: volumes, variables, command lines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import files, processes
from ..configuration import NODE_NAME, Configuration
from . import images, volumes
from .api import Api, Refused
from .asking import Place
from .environment import (
    Missing,
    command_line,
    environment,
    expand,
    field_values,
    rooted,
    service_variables,
)
from .events import Events
from .material import Material, Objects
from .surroundings import NotPulled, Prepared

Object = dict[str, Any]

REFRESH_S = 2.0
RETRY_S = 1.0
ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


@dataclass(frozen=True, slots=True)
class Node:
    """What pods share."""

    configuration: Configuration
    folder: Path
    api: Api
    objects: Objects
    events: Events
    services: Callable[[], Sequence[Object]]
    path: str  # PATH of every container


class Provisions:
    """Provides for one pod, below its folder."""

    def __init__(
        self,
        node: Node,
        folder: Path,
        pod: Callable[[], Object],
        address: str,
        tell: Callable[[str, str, bool], None],
    ) -> None:
        self._node = node
        self.folder = folder
        self._pod = pod
        self._address = address  # where the pod's processes really listen
        self._tell = tell
        self._material = Material(node.api, node.objects)

    async def _sources(self, max_age_s: float) -> volumes.Sources:
        data = await self._material.data(self._pod(), max_age_s)
        spec = self._pod()["spec"]
        return volumes.Sources(
            lookup=lambda kind, name: data[kind, name],
            fields=self._fields,
            containers={
                each["name"]: each
                for each in (*spec.get("initContainers", []), *spec["containers"])
            },
            tokens=await self._material.tokens(self._pod()),
        )

    @property
    def _fields(self) -> dict[str, str]:
        host = self._node.configuration.network.node
        return field_values(self._pod(), self._address, host, NODE_NAME)

    async def fill_volumes(self) -> None:
        """Make every volume's files, as soon as all of their sources are there."""
        while True:
            try:
                return await self._write_volumes()
            except (Missing, Refused, OSError) as exc:
                self._tell("FailedMount", str(exc), True)
                await asyncio.sleep(RETRY_S)

    async def refresh_volumes(self) -> None:
        """Bring the volumes up to date now and then: Secrets, ConfigMaps and tokens change."""
        while True:
            await asyncio.sleep(REFRESH_S)
            with contextlib.suppress(Missing, Refused, OSError):  # what is there stays
                await self._write_volumes(REFRESH_S / 2)  # what pods share is read once

    async def _write_volumes(self, max_age_s: float = 0.0) -> None:
        wanted = self._pod()["spec"].get("volumes", [])
        filled = [each for each in wanted if any(kind in each for kind in volumes.MADE_OF_FILES)]
        sources = await self._sources(max_age_s) if filled else None
        for each in wanted:
            folder = self.folder / "volumes" / each["name"]
            if each in filled and sources is not None:
                volumes.write(folder, volumes.files_of(each, sources))
            elif "emptyDir" in each:
                folder.mkdir(parents=True, exist_ok=True)
            elif "hostPath" not in each:
                raise Missing(f"volume {each['name']} is of a kind that this node does not have")

    async def prepare(self, container: Object) -> Prepared:
        """Return what a container is started with. Raise Missing, NotPulled or Refused."""
        image = images.find(
            container["image"], images.read_table(Path(self._node.configuration.images))
        )
        if image is None:
            raise NotPulled(f"{container['image']} is not an image of the local cloud")
        variables = await self._variables(container, image)
        root = self.folder / "containers" / container["name"]
        root.mkdir(parents=True, exist_ok=True)
        named = self._pod()["spec"].get("volumes", [])
        host_paths = {
            each["name"]: each["hostPath"]["path"] for each in named if "hostPath" in each
        }
        volumes.mount(root, container, self.folder / "volumes", host_paths)
        paths = volumes.mount_paths(container)
        argv = command_line(container, image.entry_point, variables)
        if not argv:
            raise Missing(f"{container['image']} has no entry point, and command is not given")
        working_folder = root / container.get("workingDir", "/").strip("/")
        working_folder.mkdir(parents=True, exist_ok=True)
        env = {name: rooted(value, str(root), paths) for name, value in variables.items()}
        if kubeconfig := self._kubeconfig(root, paths):
            env.setdefault("KUBECONFIG", str(kubeconfig))
        return Prepared(
            argv=[rooted(word, str(root), paths) for word in argv],
            working_folder=working_folder,
            place=Place(self._address, root, env | self._own_variables(root), _ports(container)),
        )

    async def _variables(self, container: Object, image: images.Image) -> dict[str, str]:
        data = await self._material.data(self._pod())
        spec, namespace = self._pod()["spec"], self._pod()["metadata"]["namespace"]
        services = self._node.services() if spec.get("enableServiceLinks", True) else ()
        found = environment(
            container,
            service_variables(services, namespace),
            self._fields,
            lambda kind, name: data[kind, name],
        )
        given = {name: expand(value, found) for name, value in image.env.items()}
        return {"PATH": self._node.path, "LANG": "C.UTF-8", **given, **found}

    def _kubeconfig(self, root: Path, mount_paths: Sequence[str]) -> Path | None:
        """Write what a client in the pod finds the API server by, if the pod has an account.

        Clients look for the account's files at fixed places of a file system that is not theirs.
        """
        if ACCOUNT_PATH not in mount_paths:
            return None
        path = root / "kubeconfig"
        account = f"{root}{ACCOUNT_PATH}"
        files.write_json(path, account_kubeconfig(self._node.configuration.url, account))
        return path

    def _own_variables(self, root: Path) -> dict[str, str]:
        name = self._pod()["spec"].get("hostname") or self._pod()["metadata"]["name"]
        return {"HOSTNAME": name, "HOME": str(root), processes.ROOT_VARIABLE: str(root)}


def account_kubeconfig(url: str, account: str) -> Object:
    """Return a kubeconfig of the token and the authority in the folder ``account``."""
    cluster = {"server": url, "certificate-authority": f"{account}/ca.crt"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "cluster",
        "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": "account"}}],
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "account", "user": {"tokenFile": f"{account}/token"}}],
    }


def _ports(container: Object) -> dict[str, int]:
    ports = container.get("ports", [])
    return {each["name"]: each["containerPort"] for each in ports if "name" in each}
