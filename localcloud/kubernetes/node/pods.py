"""The pods that are bound to the node: a worker for each, an address for each."""

from __future__ import annotations

import asyncio
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

from ..configuration import NODE_NAME
from .api import Informer
from .pod import PodWorker
from .provisions import Node
from .status import FAILED, SUCCEEDED

Object = dict[str, Any]


class Pods:
    """Follows the pods of the node and sees to each of them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended_before: set[str] = set()
        self._free = list(reversed(node.configuration.network.pods))
        query = {"fieldSelector": f"spec.nodeName={NODE_NAME}"}
        self._informer = Informer(node.api, "/api/v1/pods", self._changed, query)

    async def run(self) -> None:
        """Follow the pods for ever."""
        await asyncio.gather(self._informer.run(), self._tidy())

    async def leave(self) -> None:
        """Stop every container because the node ends."""
        await asyncio.gather(*(each.leave() for each in self._workers.values()))
        for task in self._tasks.values():
            task.cancel()

    async def _tidy(self) -> None:
        """Delete the folders of pods that went while no node was there."""
        await self._informer.synced.wait()
        for folder in (self._node.folder / "pods").glob("*"):
            if folder.name not in self._uids:
                shutil.rmtree(folder, ignore_errors=True)

    def _changed(self, pod: Object, there: bool) -> None:
        uid = pod["metadata"]["uid"]
        if worker := self._workers.get(uid):
            worker.update(pod) if there else worker.vanish()
        elif not there:
            self._ended_before.discard(uid)
            shutil.rmtree(self._node.folder / "pods" / uid, ignore_errors=True)
        elif "deletionTimestamp" in pod["metadata"] or self._wanted(pod):
            self._begin(pod)

    def _wanted(self, pod: Object) -> bool:
        """Whether the pod has not ended; what the API server knows may be older than what we do."""
        phase = pod.get("status", {}).get("phase")
        return phase not in (SUCCEEDED, FAILED) and pod["metadata"]["uid"] not in self._ended_before

    def _begin(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        worker = PodWorker(pod, self._node, self._take_address(pod))
        self._workers[uid] = worker
        task = asyncio.create_task(worker.run())
        self._tasks[uid] = task
        task.add_done_callback(lambda done: self._ended(uid, done))

    def _ended(self, uid: str, task: asyncio.Task[None]) -> None:
        worker = self._workers.pop(uid)
        del self._tasks[uid]
        self._free.insert(0, worker.observed.pod_ip)
        self._node.events.forget(worker.pod)
        self._ended_before.add(uid)
        if not task.cancelled() and (exc := task.exception()):
            traceback.print_exception(exc, file=sys.stderr)
        if uid not in self._uids:  # else its logs may still be asked for
            self._ended_before.discard(uid)
            shutil.rmtree(worker.folder, ignore_errors=True)

    @property
    def _uids(self) -> set[str]:
        return {each["metadata"]["uid"] for each in self._informer.objects.values()}

    def _take_address(self, pod: Object) -> str:
        """Return the address that the pod had, or the one that was free for the longest time."""
        before: str = pod.get("status", {}).get("podIP", "")
        if before in self._free:
            self._free.remove(before)
            return before
        return self._free.pop()

    def logs(self, namespace: str, name: str, container: str) -> Path | None:
        """Return the folder of a container's logs; None if there is no such pod."""
        pod = self._informer.objects.get(f"{namespace}/{name}")
        if pod is None:
            return None
        uid: str = pod["metadata"]["uid"]
        return self._node.folder / "pods" / uid / "logs" / container

    def running(self, namespace: str, name: str, container: str) -> bool:
        pod = self._informer.objects.get(f"{namespace}/{name}", {"metadata": {"uid": ""}})
        worker = self._workers.get(pod["metadata"]["uid"])
        return worker is not None and worker.running(container)
