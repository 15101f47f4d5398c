"""What the node tells of a pod: a pure function of what was observed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]

KILLED = 137  # 128 + SIGKILL

PENDING, RUNNING, SUCCEEDED, FAILED = "Pending", "Running", "Succeeded", "Failed"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A container that does not run yet, or not at the moment."""

    reason: str
    message: str = ""

    def told(self) -> Object:
        message = {"message": self.message} if self.message else {}
        return {"waiting": {"reason": self.reason, **message}}


@dataclass(frozen=True, slots=True)
class Running:
    """A container that runs."""

    started_at: str

    def told(self) -> Object:
        return {"running": {"startedAt": self.started_at}}


@dataclass(frozen=True, slots=True)
class Terminated:
    """A container that has ended."""

    exit_code: int
    reason: str
    started_at: str
    finished_at: str
    message: str = ""
    container_id: str = ""

    def told(self) -> Object:
        found: Object = {
            "exitCode": self.exit_code,
            "reason": self.reason,
            "startedAt": self.started_at,
            "finishedAt": self.finished_at,
        }
        if self.message:
            found["message"] = self.message
        if self.container_id:
            found["containerID"] = self.container_id
        return {"terminated": found}


@dataclass(slots=True)
class Observed:
    """One container as it is."""

    name: str
    image: str
    state: Waiting | Running | Terminated = field(
        default_factory=lambda: Waiting("ContainerCreating")
    )
    last: Terminated | None = None
    restart_count: int = 0
    started: bool = False
    ready: bool = False
    done: bool = False  # it will not be run again
    container_id: str = ""
    sidecar: bool = False  # an init container that goes on running

    @classmethod
    def recovered(cls, spec: Object, status: Object, now: str) -> Observed:
        """Return what a container is whose node has been away: one that ran has been killed."""
        found = cls(spec["name"], spec["image"], restart_count=status.get("restartCount", 0))
        if last := status.get("lastState", {}).get("terminated"):
            found.last = _terminated(last)
        state = status.get("state", {})
        if ended := state.get("terminated"):
            found.state = _terminated(ended)
        elif running := state.get("running"):
            found.state = Terminated(
                KILLED, "Error", running["startedAt"], now, "the node was away"
            )
        return found

    @property
    def succeeded(self) -> bool:
        return isinstance(self.state, Terminated) and self.state.exit_code == 0

    @property
    def has_run(self) -> bool:
        return not isinstance(self.state, Waiting) or self.last is not None

    def told(self) -> Object:
        found: Object = {
            "name": self.name,
            "image": self.image,
            "imageID": self.image,
            "state": self.state.told(),
            "lastState": self.last.told() if self.last else {},
            "restartCount": self.restart_count,
            "ready": self.ready,
            "started": self.started,
        }
        if self.container_id:
            found["containerID"] = self.container_id
        return found


def _terminated(told: Object) -> Terminated:
    return Terminated(
        told["exitCode"],
        told.get("reason", ""),
        told.get("startedAt", ""),
        told.get("finishedAt", ""),
        told.get("message", ""),
        told.get("containerID", ""),
    )


@dataclass(slots=True)
class PodObserved:
    """One pod as it is."""

    init_containers: Sequence[Observed]
    containers: Sequence[Observed]
    pod_ip: str = ""
    host_ip: str = ""
    start_time: str = ""
    failure: tuple[str, str] | None = None  # reason and message, if the node gave the pod up

    @property
    def initialized(self) -> bool:
        """Whether the init containers have succeeded, and the sidecars are up or have been."""
        init = self.init_containers
        return any(each.has_run for each in self.containers) or all(
            each.started if each.sidecar else each.succeeded for each in init
        )

    @property
    def phase(self) -> str:
        """The pod's phase: getPhase of the kubelet. A pod has not ended while a container runs."""
        every = (*self.init_containers, *self.containers)
        runs = any(isinstance(each.state, Running) for each in every)
        ended = None if runs else self._ended
        if ended is not None:
            return ended
        if not self.initialized:
            return PENDING
        return RUNNING if all(each.has_run for each in self.containers) else PENDING

    @property
    def _ended(self) -> str | None:
        """How the pod has ended if none of its containers runs; None if it has not."""
        awaited = [each for each in self.init_containers if not each.sidecar]
        init_failed = any(each.done and not each.succeeded for each in awaited)
        if self.failure or (init_failed and not self.initialized):
            return FAILED
        if not all(each.done for each in self.containers):
            return None
        return SUCCEEDED if all(each.succeeded for each in self.containers) else FAILED


def pod_status(
    pod: Object, observed: PodObserved, now: str, before: Sequence[Object] = ()
) -> Object:
    """Return the pod's status as a strategic merge patch takes it.

    :param before: the conditions last told; one keeps its time of transition while it stays.
    """
    phase = observed.phase
    found: Object = {
        "phase": phase,
        "conditions": conditions(pod, observed, now, before),
        "containerStatuses": [each.told() for each in observed.containers],
        "initContainerStatuses": [_init_told(each) for each in observed.init_containers],
        "startTime": observed.start_time,
    }
    if observed.host_ip:
        found |= {"hostIP": observed.host_ip, "hostIPs": [{"ip": observed.host_ip}]}
    if observed.pod_ip:
        found |= {"podIP": observed.pod_ip, "podIPs": [{"ip": observed.pod_ip}]}
    if observed.failure and phase == FAILED:
        found["reason"], found["message"] = observed.failure
    return found


def _init_told(container: Observed) -> Object:
    """An init container is ready once it has succeeded; a sidecar while it is well."""
    return {**container.told(), "ready": container.ready or container.succeeded}


def conditions(
    pod: Object, observed: PodObserved, now: str, before: Sequence[Object] = ()
) -> list[Object]:
    """Return the conditions that a node sets."""
    known = {each["type"]: each for each in before}
    wanted = {
        "PodReadyToStartContainers": (bool(observed.pod_ip), "", ""),
        "Initialized": _initialized(observed),
        "ContainersReady": _containers_ready(observed),
        "Ready": _ready(pod, observed),
    }
    return [
        _condition(name, status, reason, message, known.get(name), now)
        for name, (status, reason, message) in wanted.items()
    ]


def _initialized(observed: PodObserved) -> tuple[bool, str, str]:
    if observed.initialized:
        return True, "PodCompleted" if observed.phase == SUCCEEDED else "", ""
    names = [each.name for each in observed.init_containers if not each.succeeded]
    message = f"containers with incomplete status: [{' '.join(names)}]"
    return False, "ContainersNotInitialized", message


def _containers_ready(observed: PodObserved) -> tuple[bool, str, str]:
    if observed.phase in (SUCCEEDED, FAILED):
        return False, "PodCompleted" if observed.phase == SUCCEEDED else "PodFailed", ""
    sidecars = [each for each in observed.init_containers if each.sidecar]
    names = [each.name for each in (*sidecars, *observed.containers) if not each.ready]
    if not names:
        return True, "", ""
    message = f"containers with unready status: [{' '.join(names)}]"
    return False, "ContainersNotReady", message


def _ready(pod: Object, observed: PodObserved) -> tuple[bool, str, str]:
    """Whether the containers are ready, and every readiness gate is open."""
    status, reason, message = _containers_ready(observed)
    gates = [each["conditionType"] for each in pod["spec"].get("readinessGates", [])]
    told = pod.get("status", {}).get("conditions", [])
    opened = {each["type"] for each in told if each["status"] == "True"}
    shut = [each for each in gates if each not in opened]
    if status and shut:
        return False, "ReadinessGatesNotReady", f"not true: {', '.join(shut)}"
    return status, reason, message


def _condition(
    name: str, holds: bool, reason: str, message: str, before: Object | None, now: str
) -> Object:
    status = str(holds)
    same = before is not None and before.get("status") == status
    since = before["lastTransitionTime"] if before is not None and same else now
    return {
        "type": name,
        "status": status,
        "reason": reason or None,
        "message": message or None,
        "lastTransitionTime": since,
    }
