"""Which address leads where: a pure function of Services and their EndpointSlices."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Object = dict[str, Any]


class Listener(NamedTuple):
    """An address and a port to listen at."""

    host: str
    port: int


class Route(NamedTuple):
    """The ready endpoints behind a listener, and who may come: an empty tuple is everybody."""

    targets: tuple[tuple[str, int], ...]
    sources: tuple[str, ...] = ()

    def admits(self, peer: str) -> bool:
        address = ipaddress.ip_address(peer)
        return not self.sources or any(
            address in ipaddress.ip_network(each, strict=False) for each in self.sources
        )


def routes(
    services: Sequence[Object],
    slices: Sequence[Object],
    node: str,
    real: Callable[[str], str],
) -> dict[Listener, Route]:
    """Return where to listen and what is behind it; a port without ready endpoints is not there.

    :param node: the node's address, for node ports.
    :param real: turns an address in a slice into the one that is really listened at.
    """
    by_service = _by_service(slices)
    found: dict[Listener, Route] = {}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        own = by_service.get((metadata["namespace"], metadata["name"]), [])
        for port in spec.get("ports", []):
            targets = _targets(own, port.get("name", ""), real)
            if targets and port.get("protocol", "TCP") == "TCP":
                found |= _listeners(service, port, targets, node)
    return found


def _listeners(
    service: Object, port: Object, targets: tuple[tuple[str, int], ...], node: str
) -> Mapping[Listener, Route]:
    spec = service["spec"]
    found: dict[Listener, Route] = {}
    if spec.get("clusterIP", "None") not in ("None", ""):
        found[Listener(spec["clusterIP"], port["port"])] = Route(targets)
    if "nodePort" in port:
        found[Listener(node, port["nodePort"])] = Route(targets)
    sources = tuple(spec.get("loadBalancerSourceRanges", ()))
    for address in balancer_addresses(service):
        found[Listener(address, port["port"])] = Route(targets, sources)
    return found


def balancer_addresses(service: Object) -> list[str]:
    """Return the addresses that a Service of type LoadBalancer has got."""
    if service["spec"].get("type") != "LoadBalancer":
        return []
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    return [each["ip"] for each in ingress if "ip" in each]


def _by_service(slices: Sequence[Object]) -> dict[tuple[str, str], list[Object]]:
    found: dict[tuple[str, str], list[Object]] = {}
    for each in slices:
        metadata = each["metadata"]
        name = metadata.get("labels", {}).get("kubernetes.io/service-name", "")
        found.setdefault((metadata["namespace"], name), []).append(each)
    return found


def _targets(
    slices: Sequence[Object], port_name: str, real: Callable[[str], str]
) -> tuple[tuple[str, int], ...]:
    found = [
        (real(address), port["port"])
        for each in slices
        for port in each.get("ports") or []
        if (port.get("name") or "") == port_name
        for endpoint in each.get("endpoints") or []
        if endpoint.get("conditions", {}).get("ready", True)
        for address in endpoint["addresses"]
    ]
    return tuple(sorted(found))
