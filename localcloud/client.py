"""The API as our own commands use it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from . import files, processes
from .errors import LocalCloudError
from .home import Home
from .model import FAILED, READY

REQUEST_TIMEOUT_S = 60
SETTLE_TIMEOUT_S = 300.0


class Client:
    """Asks the daemon of one folder.

    >>> Client(Home.of_environment()).read("old", "old_postgres")["state"]
    'ready'
    """

    def __init__(self, home: Home) -> None:
        described = files.read_json(home.api)
        if described is None:
            raise LocalCloudError("the local cloud is not up; start it with: localcloud up")
        self._url: str = described["url"]
        self._token: str = described["token"]
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def servers(self) -> list[dict[str, Any]]:
        """Return every server of both clouds."""
        servers: list[dict[str, Any]] = self.call("GET", "/v1/clouds")["servers"]
        return servers

    def poolers(self) -> list[dict[str, Any]]:
        """Return every pooler of both clouds."""
        poolers: list[dict[str, Any]] = self.call("GET", "/v1/clouds")["poolers"]
        return poolers

    def clusters(self) -> list[dict[str, Any]]:
        """Return every cluster of both clouds."""
        clusters: list[dict[str, Any]] = self.call("GET", "/v1/clouds")["clusters"]
        return clusters

    def read(self, cloud: str, name: str) -> dict[str, Any]:
        return self.call("GET", server_path(cloud, name))

    def settle(self, cloud: str, name: str, timeout: float = SETTLE_TIMEOUT_S) -> dict[str, Any]:
        """Return the server as soon as nothing is under way any more.

        Raise LocalCloudError with the server's own reason if it has failed.
        """
        return self._settle(server_path(cloud, name), f"{cloud}/{name}", timeout)

    def settle_pooler(self, cloud: str, name: str) -> dict[str, Any]:
        """Return the pooler as soon as nothing is under way any more, as `settle` does."""
        return self._settle(pooler_path(cloud, name), f"{cloud}/{name}", SETTLE_TIMEOUT_S)

    def settle_cluster(self, cloud: str, name: str) -> dict[str, Any]:
        """Return the cluster as soon as nothing is under way any more, as `settle` does."""
        return self._settle(cluster_path(cloud, name), f"{cloud}/{name}", SETTLE_TIMEOUT_S)

    def _settle(self, path: str, what: str, timeout: float) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def settled() -> bool:
            found.update(self.call("GET", path))
            return found["state"] in (READY, FAILED)

        processes.wait_until(settled, timeout, f"{what} is ready", poll=0.1)
        if found["state"] == FAILED:
            raise LocalCloudError(f"{what} has failed: {found['state_reason']}")
        return found

    def absent(self, cloud: str, name: str) -> Callable[[], bool]:
        """Return a predicate: whether the server is gone."""
        return lambda: _absent(self.servers(), cloud, name)

    def pooler_absent(self, cloud: str, name: str) -> Callable[[], bool]:
        """Return a predicate: whether the pooler is gone."""
        return lambda: _absent(self.poolers(), cloud, name)

    def cluster_absent(self, cloud: str, name: str) -> Callable[[], bool]:
        """Return a predicate: whether the cluster is gone."""
        return lambda: _absent(self.clusters(), cloud, name)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer's object. Raise LocalCloudError with the API's own words."""
        request = urllib.request.Request(  # noqa: S310  # our own address
            self._url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with self._opener.open(request, timeout=REQUEST_TIMEOUT_S) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as exc:
            raise _refused(exc) from None
        except OSError as exc:
            raise LocalCloudError(
                f"the local cloud does not answer ({exc}); start it with: localcloud up"
            ) from None


def _absent(every: list[dict[str, Any]], cloud: str, name: str) -> bool:
    return all((each["cloud"], each["name"]) != (cloud, name) for each in every)


def _refused(answer: urllib.error.HTTPError) -> LocalCloudError:
    with answer:
        try:
            error = json.load(answer)["error"]
        except (ValueError, KeyError):
            return LocalCloudError(f"the local cloud answered {answer.code}")
        return LocalCloudError(error["message"], code=error["code"], status=answer.code)


def server_path(cloud: str, name: str) -> str:
    """Return the API's path of a server."""
    return f"/v1/clouds/{cloud}/postgres/{name}"


def pooler_path(cloud: str, name: str) -> str:
    """Return the API's path of a pooler."""
    return f"/v1/clouds/{cloud}/poolers/{name}"


def cluster_path(cloud: str, name: str) -> str:
    """Return the API's path of a cluster."""
    return f"/v1/clouds/{cloud}/kubernetes/{name}"
