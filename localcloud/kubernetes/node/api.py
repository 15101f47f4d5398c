"""The API server as the node sees it: requests, and objects kept by list and watch."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from ..configuration import Configuration
from ..pki import tls_context

Object = dict[str, Any]

REQUEST_TIMEOUT_S = 30
WATCH_S = 300
RETRY_S = 0.5
LINE_LIMIT = 4 * 1024 * 1024

PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class Refused(Exception):  # noqa: N818  # as HTTP's answers are spoken of
    """The API server did not do what it was asked to: an answer that is not 2xx, or none."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """One identity's session with the API server."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session

    @classmethod
    @asynccontextmanager
    async def session(
        cls, configuration: Configuration, folder: Path, identity: str
    ) -> AsyncIterator[Api]:
        """Open a session as one of the cluster's identities."""
        connector = aiohttp.TCPConnector(ssl=tls_context(folder, identity), limit=0)
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, read_bufsize=LINE_LIMIT
        ) as session:
            yield cls(configuration.url, session)

    async def get(self, path: str) -> Object:
        return await self._call("GET", path)

    async def create(self, path: str, body: Object) -> Object:
        return await self._call("POST", path, body)

    async def replace(self, path: str, body: Object) -> Object:
        return await self._call("PUT", path, body)

    async def patch(self, path: str, body: Object, how: str = "merge") -> Object:
        return await self._call("PATCH", path, body, {"Content-Type": PATCHES[how]})

    async def delete(self, path: str, body: Object) -> Object:
        return await self._call("DELETE", path, body)

    async def _call(
        self, method: str, path: str, body: Object | None = None, headers: Mapping[str, str] = {}
    ) -> Object:
        """Return the answer's object. Raise Refused with the API server's own words."""
        sent = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json", **headers}
        try:
            async with self._session.request(
                method, self._url + path, data=sent, headers=headers
            ) as answer:
                return await _object(answer)
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise Refused(f"the API server does not answer: {exc or type(exc).__name__}") from exc

    async def watch(self, path: str, query: Mapping[str, str]) -> AsyncIterator[Object]:
        """Yield the events of a watch until the API server ends it."""
        asked = {**query, "watch": "true", "timeoutSeconds": str(WATCH_S)}
        timeout = aiohttp.ClientTimeout(total=None, sock_read=WATCH_S + REQUEST_TIMEOUT_S)
        try:
            async with self._session.get(self._url + path, params=asked, timeout=timeout) as answer:
                if answer.status != 200:
                    await _object(answer)
                async for line in answer.content:
                    yield json.loads(line)
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise Refused(f"the API server does not answer: {exc or type(exc).__name__}") from exc

    async def list(self, path: str, query: Mapping[str, str]) -> Object:
        encoded = "&".join(f"{name}={value}" for name, value in query.items())
        return await self._call("GET", f"{path}?{encoded}" if encoded else path)


async def _object(answer: aiohttp.ClientResponse) -> Object:
    found: Object = json.loads(await answer.text() or "{}")
    if answer.status >= 300:
        raise Refused(found.get("message", answer.reason or "refused"), answer.status)
    return found


class Informer:
    """The objects of one kind, as the API server has them; `changed` is called with each change."""

    def __init__(
        self,
        api: Api,
        path: str,
        changed: Callable[[Object, bool], None],
        query: Mapping[str, str] | None = None,
    ) -> None:
        self.objects: dict[str, Object] = {}
        self.synced = asyncio.Event()
        self._api = api
        self._path = path
        self._query = query or {}
        self._changed = changed

    async def run(self) -> None:
        """Follow the objects for ever; a watch that ends is begun again."""
        while True:
            try:
                version = await self._list()
                await self._watch(version)
            except Refused as exc:
                print(f"{self._path}: {exc}", file=sys.stderr, flush=True)
                await asyncio.sleep(RETRY_S)

    async def _list(self) -> str:
        found = await self._api.list(self._path, self._query)
        listed = {key(each): each for each in found["items"]}
        for gone in [each for name, each in self.objects.items() if name not in listed]:
            self._take(gone, there=False)
        for each in listed.values():
            self._take(each, there=True)
        self.synced.set()
        version: str = found["metadata"]["resourceVersion"]
        return version

    async def _watch(self, version: str) -> None:
        query = {**self._query, "resourceVersion": version, "allowWatchBookmarks": "true"}
        while True:
            async for event in self._api.watch(self._path, query):
                if event["type"] == "ERROR":  # too old a version: list again
                    raise Refused(event["object"].get("message", "the watch has ended"))
                query["resourceVersion"] = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._take(event["object"], there=event["type"] != "DELETED")

    def _take(self, found: Object, *, there: bool) -> None:
        if there:
            self.objects[key(found)] = found
        else:
            self.objects.pop(key(found), None)
        self._changed(found, there)


def key(found: Object) -> str:
    """Return an object's namespace and name."""
    metadata = found["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"
