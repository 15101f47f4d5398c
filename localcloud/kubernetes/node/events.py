"""Events: what `kubectl describe` shows of a pod's life. Telling them is best effort."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from ...model import now
from ..configuration import NODE_NAME
from .api import Api, Refused

Object = dict[str, Any]

LONGEST_MESSAGE = 1000
WAITING = 1000


class Events:
    """Sends events one after the other; one that repeats is counted up instead."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._queue: asyncio.Queue[Object] = asyncio.Queue(WAITING)
        self._sent: dict[tuple[str, str, str], Object] = {}

    def tell(self, pod: Object, reason: str, message: str, *, warning: bool = False) -> None:
        """Tell of a pod; too many at once are dropped."""
        metadata = pod["metadata"]
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name'][:200]}.{secrets.token_hex(8)}",
                "namespace": metadata["namespace"],
            },
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
            },
            "type": "Warning" if warning else "Normal",
            "reason": reason,
            "message": message[:LONGEST_MESSAGE],
            "source": {"component": "kubelet", "host": NODE_NAME},
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        if not self._queue.full():
            self._queue.put_nowait(event)

    async def run(self) -> None:
        """Send what is told, for ever."""
        while True:
            event = await self._queue.get()
            try:
                await self._send(event)
            except Refused:
                continue  # its namespace is gone, or the API server is

    def forget(self, pod: Object) -> None:
        """Forget a pod that is no more."""
        uid = pod["metadata"]["uid"]
        self._sent = {known: sent for known, sent in self._sent.items() if known[0] != uid}

    async def _send(self, event: Object) -> None:
        known = (event["involvedObject"]["uid"], event["reason"], event["message"])
        path = f"/api/v1/namespaces/{event['metadata']['namespace']}/events"
        if before := self._sent.get(known):
            before["count"] += 1
            change = {"count": before["count"], "lastTimestamp": event["lastTimestamp"]}
            await self._api.patch(f"{path}/{before['metadata']['name']}", change)
            return
        await self._api.create(path, event)
        self._sent[known] = event
