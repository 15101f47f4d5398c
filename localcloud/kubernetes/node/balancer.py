"""The cloud's load balancers: an address for each Service that wants one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .api import Api, Refused
from .routes import balancer_addresses

Object = dict[str, Any]
Key = tuple[str, str]  # namespace and name

LOOK_EVERY_S = 0.5


class Balancers:
    """Gives addresses, and takes note of those that are given in the Services' own status."""

    def __init__(
        self, api: Api, addresses: Sequence[str], services: Callable[[], Sequence[Object]]
    ) -> None:
        self._api = api
        self._addresses = addresses
        self._services = services
        self._given: dict[Key, str] = {}

    async def run(self) -> None:
        """See to Services for ever."""
        while True:
            for key, ingress in assignments(self._services(), self._addresses, self._given).items():
                namespace, name = key
                path = f"/api/v1/namespaces/{namespace}/services/{name}/status"
                body = {"status": {"loadBalancer": {"ingress": ingress}}}
                try:
                    await self._api.patch(path, body)
                except Refused as exc:
                    print(f"{path}: {exc}", file=sys.stderr, flush=True)
            await asyncio.sleep(LOOK_EVERY_S)


def assignments(
    services: Sequence[Object], addresses: Sequence[str], given: dict[Key, str]
) -> dict[Key, list[Object] | None]:
    """Return whose status is to be changed to which ingress; None takes an address away.

    :param given: what was given before; kept up to date, as Services may not show it yet.
    """
    wanting = {key(each): each for each in services if each["spec"].get("type") == "LoadBalancer"}
    for gone in given.keys() - wanting.keys():
        del given[gone]
    given |= {name: held[0] for name, each in wanting.items() if (held := balancer_addresses(each))}
    free = [address for address in addresses if address not in given.values()]
    found: dict[Key, list[Object] | None] = {}
    for name, each in wanting.items():
        if not balancer_addresses(each) and (name in given or free):
            given[name] = given.get(name) or free.pop(0)
            found[name] = [{"ip": given[name], "ipMode": "VIP"}]
    for each in services:
        if key(each) not in wanting and each.get("status", {}).get("loadBalancer", {}).get(
            "ingress"
        ):
            found[key(each)] = None
    return found


def key(service: Object) -> Key:
    return service["metadata"]["namespace"], service["metadata"]["name"]
