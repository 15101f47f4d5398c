"""All of one kind that both clouds keep running: found again from its records at the start."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Generic, TypeVar

from . import files
from .certificates import Authority
from .errors import LocalCloudError, NotFound
from .home import CLOUDS, Home
from .model import Kept, Step
from .ports import free_port
from .resource import Resource

ANYWHERE = "127.0.0.1"

R = TypeVar("R", bound=Kept)
T = TypeVar("T", bound=Resource[Any])


class Registry(ABC, Generic[R, T]):
    """Resources, by cloud and name. Its methods are what the API offers.

    :cvar noun: what one is called.
    :cvar folder: where their records are, in the cloud's folder.
    :cvar network: the second number of their addresses, 127.NETWORK.CLOUD.x.
    """

    noun: ClassVar[str]
    folder: ClassVar[str]
    network: ClassVar[int]

    def __init__(self, home: Home) -> None:
        home.make()
        self._home = home
        self._authority = Authority(home.root)
        self._lock = threading.RLock()
        self._resources: dict[tuple[str, str], T] = {}
        for cloud in CLOUDS:
            for path in sorted(home.kept(cloud, self.folder).glob("*.json")):
                self._add(self._record_of(files.read_json(path)))

    @abstractmethod
    def _record_of(self, value: dict[str, Any]) -> R:
        """Return a record from what its file keeps."""

    @abstractmethod
    def _resource(self, record: R) -> T:
        """Return the resource of a record."""

    def begin(self) -> None:
        """Take them up: those that run are kept, the others started."""
        for resource in self._all():
            resource.begin()

    def stop(self) -> None:
        """Stop all, at the same time, and return when they are gone."""
        with ThreadPoolExecutor(max_workers=16) as pool:
            list(pool.map(lambda resource: resource.leave(), self._all()))

    def told(self, cloud: str | None = None) -> list[dict[str, Any]]:
        """Return every one of a cloud, or of both."""
        if cloud is not None:
            check_cloud(cloud)
        return [each.told() for each in self._all() if cloud in (None, each.record.cloud)]

    def find(self, cloud: str, name: str) -> T:
        """Return one. Raise NotFound if it is not there."""
        check_cloud(cloud)
        with self._lock:
            if (cloud, name) not in self._resources:
                raise NotFound(f"cloud {cloud} has no {self.noun} {name}")
            return self._resources[cloud, name]

    def delete(self, cloud: str, name: str) -> T:
        found = self.find(cloud, name)
        if found.record.state != "deleting":
            found.request(Step("delete"))
        return found

    def _all(self) -> list[T]:
        with self._lock:
            return [self._resources[key] for key in sorted(self._resources)]

    def _add(self, record: R) -> T:
        resource = self._resource(record)
        self._resources[record.cloud, record.name] = resource
        return resource

    def _remove(self, record: R) -> None:
        with self._lock:
            del self._resources[record.cloud, record.name]

    def _free_place(self, cloud: str) -> tuple[str, int]:
        """Return the cloud's lowest loopback address that none has, and a port free there."""
        hosts = {each.record.host for each in self._all()}
        ports = {each.record.port for each in self._all()}
        for last in range(1, 255):
            host = f"127.{self.network}.{CLOUDS.index(cloud) + 1}.{last}"
            if host not in hosts:
                return host, free_port([host, ANYWHERE], ports)
        raise LocalCloudError(f"cloud {cloud} is full", code="full", status=507)


def check_cloud(cloud: str) -> None:
    """Raise NotFound unless there is such a cloud."""
    if cloud not in CLOUDS:
        raise NotFound(f"there is no cloud {cloud}; there are {' and '.join(CLOUDS)}")
