"""One pod: its volumes, its containers in their order, what is told of it, and its end."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from ... import processes
from ...model import now
from .api import Refused
from .container import Container
from .provisions import Node, Provisions
from .status import FAILED, SUCCEEDED, Observed, PodObserved, pod_status
from .surroundings import Surroundings

Object = dict[str, Any]

RETRY_S = 1.0
DEFAULT_GRACE_S = 30
LEAVING_GRACE_S = 5.0
END_TIMEOUT_S = 3.0
PODS_PATH = "/api/v1/namespaces/{}/pods/{}"


class PodWorker:
    """Makes one pod so, from its binding to the node until it is gone."""

    def __init__(self, pod: Object, node: Node, address: str) -> None:
        self.pod = pod
        self.folder = node.folder / "pods" / pod["metadata"]["uid"]
        self._node = node
        network = node.configuration.network
        self._provisions = Provisions(
            node, self.folder, lambda: self.pod, network.real(address), self._tell
        )
        self._deleting = asyncio.Event()
        self._gone = asyncio.Event()
        self._dirty = asyncio.Event()
        self._told: Object = {}
        self._silent = False
        self._begun = False
        self._publishing = asyncio.Lock()
        spec = pod["spec"]
        self.observed = PodObserved(
            init_containers=[self._observe(each, init=True) for each in _init(spec)],
            containers=[self._observe(each) for each in spec["containers"]],
            pod_ip=address,
            host_ip=network.node,
            start_time=pod.get("status", {}).get("startTime") or now(),
        )
        self._init = list(map(self._container, _init(spec), self.observed.init_containers))
        self._main = list(map(self._container, spec["containers"], self.observed.containers))
        self.update(pod)

    def _observe(self, spec: Object, *, init: bool = False) -> Observed:
        """Return what the last node left of a container, if there was one."""
        status = self.pod.get("status", {})
        known = (*status.get("initContainerStatuses", []), *status.get("containerStatuses", []))
        before: Object = next((each for each in known if each["name"] == spec["name"]), {})
        found = Observed.recovered(spec, before, now())
        found.done = status.get("phase") in (SUCCEEDED, FAILED)
        found.sidecar = init and spec.get("restartPolicy") == "Always"
        return found

    def _container(self, spec: Object, observed: Observed) -> Container:
        policy = self.pod["spec"].get("restartPolicy", "Always")
        if any(observed is each for each in self.observed.init_containers):
            policy = "Always" if observed.sidecar else _init_policy(policy)
        surroundings = Surroundings(
            prepare=self._provisions.prepare,
            changed=self._dirty.set,
            tell=self._tell,
            logs=self.folder / "logs" / spec["name"],
            grace_s=self.pod["spec"].get("terminationGracePeriodSeconds", DEFAULT_GRACE_S),
        )
        return Container(spec, policy, observed, surroundings)

    @property
    def _every(self) -> list[Container]:
        return [*self._init, *self._main]

    def running(self, container: str) -> bool:
        return any(each.running for each in self._every if each.spec["name"] == container)

    # What the API server says

    def update(self, pod: Object) -> None:
        self.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self._deleting.set()
        self._dirty.set()

    def vanish(self) -> None:
        """The pod is gone from the API server without having waited for us."""
        self._gone.set()
        self._deleting.set()

    # Its life

    async def run(self) -> None:
        """Make the pod so until it has ended, or is to be deleted and can be."""
        telling = asyncio.create_task(self._keep_telling())
        living = asyncio.create_task(self._live())
        deleting = asyncio.create_task(self._deleting.wait())
        try:
            await asyncio.wait({living, deleting}, return_when=asyncio.FIRST_COMPLETED)
            if living.done():
                living.result()
            if self.observed.phase in (SUCCEEDED, FAILED) and not self._deleting.is_set():
                await self._publish()
                return
            await deleting
            await self._stop(self._grace_s)
            await self._let_end(living)
            telling.cancel()
            await self._finish()
        finally:
            for task in (living, deleting, telling):
                task.cancel()

    async def leave(self) -> None:
        """Stop the containers because the node ends; what is told of the pod stays as it is."""
        self._silent = True
        await self._stop(min(self._grace_s, LEAVING_GRACE_S))
        await asyncio.to_thread(processes.kill_marked, self.folder)

    @property
    def _grace_s(self) -> float:
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        if self._gone.is_set():
            return 0.0
        default = spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_S)
        return float(metadata.get("deletionGracePeriodSeconds", default))

    async def _stop(self, grace_s: float) -> None:
        """Stop the containers, and after them the sidecars, which are there for them."""
        begun = time.monotonic()
        await asyncio.gather(*(each.stop(grace_s) for each in self._main))
        left_s = max(grace_s - (time.monotonic() - begun), 0.0)
        await asyncio.gather(*(each.stop(left_s) for each in self._init))

    async def _let_end(self, task: asyncio.Task[None]) -> None:
        """Let the containers' task take note that they were stopped; before they began it waits."""
        if self._begun:
            await asyncio.wait({task}, timeout=END_TIMEOUT_S)
        task.cancel()

    async def _live(self) -> None:
        if self.observed.phase in (SUCCEEDED, FAILED) or self._deleting.is_set():
            return
        limit_s = self.pod["spec"].get("activeDeadlineSeconds")
        running = asyncio.create_task(self._run_containers())
        try:
            done, _ = await asyncio.wait({running}, timeout=limit_s)
            if done:
                running.result()
            else:
                text = f"Pod was active on the node longer than its deadline of {limit_s} s"
                self.observed.failure = ("DeadlineExceeded", text)
                await self._stop(self._grace_s)
                await self._let_end(running)
        finally:
            running.cancel()

    async def _run_containers(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self._provisions.fill_volumes()
        self._begun = True
        refreshing = asyncio.create_task(self._provisions.refresh_volumes())
        sidecars: list[asyncio.Task[None]] = []
        try:
            if await self._run_init(sidecars):
                await asyncio.gather(*(each.run() for each in self._main))
            await asyncio.gather(*(each.stop(self._grace_s) for each in self._init))
            await asyncio.gather(*sidecars)
        finally:
            for task in (refreshing, *sidecars):
                task.cancel()

    async def _run_init(self, sidecars: list[asyncio.Task[None]]) -> bool:
        """Run the init containers, one after the other; return whether all of them succeeded."""
        for each in self._init:
            if each.observed.sidecar:
                sidecars.append(asyncio.create_task(each.run()))
                await each.started_or_stopped()
            else:
                await each.run()
                if not each.observed.succeeded:
                    return False
        return self.observed.initialized and not self._deleting.is_set()

    async def _finish(self) -> None:
        """Tell the end, and let the API server forget the pod."""
        await asyncio.to_thread(processes.kill_marked, self.folder)
        if self._gone.is_set():
            return
        await self._publish()
        metadata = self.pod["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": metadata["uid"]},
        }
        path = PODS_PATH.format(metadata["namespace"], metadata["name"])
        while not self._gone.is_set():
            try:
                await self._node.api.delete(path, body)
                return
            except Refused as exc:
                if exc.status in (404, 409):
                    return
                await asyncio.sleep(RETRY_S)

    # What is told

    def _tell(self, reason: str, message: str, warning: bool) -> None:
        self._node.events.tell(self.pod, reason, message, warning=warning)

    async def _keep_telling(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._publish()

    async def _publish(self) -> None:
        """Tell the pod's status unless it is what was told last; again until it is taken."""
        async with self._publishing:
            while not (self._gone.is_set() or self._silent):
                status = pod_status(
                    self.pod, self.observed, now(), self._told.get("conditions", ())
                )
                if status == self._told:
                    return
                metadata = self.pod["metadata"]
                path = PODS_PATH.format(metadata["namespace"], metadata["name"]) + "/status"
                try:
                    body = {"metadata": {"uid": metadata["uid"]}, "status": status}
                    await self._node.api.patch(path, body, "strategic")
                    self._told = status
                except Refused as exc:
                    if exc.status in (404, 409):  # gone, or another pod of this name
                        self._gone.set()
                    elif exc.status in (400, 422):  # a bug of ours: again would be no better
                        print(f"{path}: {exc}", file=sys.stderr, flush=True)
                        self._told = status
                    else:
                        print(f"{path}: {exc}", file=sys.stderr, flush=True)
                        await asyncio.sleep(RETRY_S)


def _init(spec: Object) -> list[Object]:
    found: list[Object] = spec.get("initContainers", [])
    return found


def _init_policy(policy: str) -> str:
    """Return when an init container is run again: it is done once it has succeeded."""
    return "Never" if policy == "Never" else "OnFailure"
