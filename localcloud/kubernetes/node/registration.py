"""The node as the cluster knows it: registered once, then a lease and a status kept fresh."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from typing import Any

from ...model import now
from ..binaries import kubernetes_version
from ..configuration import NODE_NAME, Configuration
from .api import Api, Refused

Object = dict[str, Any]

LEASE_S, RENEW_S, STATUS_S = 40, 10, 60
RETRY_S = 0.3
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

# Pods are processes that share the machine: what manifests for large nodes request must fit.
CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "250", "ephemeral-storage": "256Gi"}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
WELL = {
    "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
    "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
    "PIDPressure": ("False", "KubeletHasSufficientPID"),
    "Ready": ("True", "KubeletReady"),
}


async def keep(api: Api, configuration: Configuration, port: int) -> None:
    """Register the node, then keep it ready, for ever."""
    since = now()
    while True:
        try:
            await _register(api, configuration)
            body = {"status": status(configuration, port, since, now())}
            await api.patch(f"/api/v1/nodes/{NODE_NAME}/status", body, "strategic")
            for _ in range(STATUS_S // RENEW_S):
                await _renew(api)
                await asyncio.sleep(RENEW_S)
        except Refused as exc:
            print(f"node {NODE_NAME}: {exc}", file=sys.stderr, flush=True)
            await asyncio.sleep(RETRY_S)


async def _register(api: Api, configuration: Configuration) -> None:
    try:
        await api.create("/api/v1/nodes", node(configuration))
    except Refused as exc:
        if exc.status != 409:  # it is there already
            raise


async def _renew(api: Api) -> None:
    spec = {
        "holderIdentity": NODE_NAME,
        "leaseDurationSeconds": LEASE_S,
        "renewTime": now().replace("Z", "000Z"),
    }
    try:
        await api.patch(f"{LEASES}/{NODE_NAME}", {"spec": spec})
    except Refused as exc:
        if exc.status != 404:
            raise
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": NODE_NAME},
            "spec": spec,
        }
        await api.create(LEASES, lease)


def node(configuration: Configuration) -> Object:
    """Return the Node as it is created."""
    architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE_NAME,
            "labels": {
                "kubernetes.io/hostname": NODE_NAME,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": architecture,
                "node.kubernetes.io/instance-type": "process",
                "topology.kubernetes.io/region": configuration.cloud,
                "topology.kubernetes.io/zone": f"{configuration.cloud}-a",
            },
        },
        "spec": {"providerID": f"localcloud://{configuration.cloud}/{configuration.name}"},
    }


def status(configuration: Configuration, port: int, since: str, at: str) -> Object:
    """Return the Node's status; ``port`` is where logs are asked for."""
    address = configuration.network.node
    conditions = [
        {
            "type": name,
            "status": value,
            "reason": reason,
            "message": "the node is a process",
            "lastHeartbeatTime": at,
            "lastTransitionTime": since,
        }
        for name, (value, reason) in WELL.items()
    ]
    return {
        "capacity": CAPACITY,
        "allocatable": CAPACITY,
        "conditions": conditions,
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": NODE_NAME},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": _node_info(),
    }


def _node_info() -> dict[str, str]:
    return {
        "kubeletVersion": f"v{kubernetes_version()}",
        "kubeProxyVersion": "",
        "containerRuntimeVersion": "process://1",
        "operatingSystem": "linux",
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
        "kernelVersion": os.uname().release,
        "osImage": "localcloud",
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
    }
