"""Addresses of a cluster, all on loopback, where any of 127/8 can be bound without set-up.

One number K, free when the cluster is made, tells all of its ranges. A pod has two addresses of
the same last bytes: the API server refuses loopback addresses in endpoints, so status shows one
that is reserved for tests (RFC 2544), and the pod's processes and all who reach them use the
other.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ..errors import LocalCloudError

SERVICES = {"old": 10, "new": 20}  # 127.10.K.0/24, 127.20.K.0/24
LOAD_BALANCERS, NODES, PODS = 30, 40, 50
SHOWN_PODS = "198.18"


@dataclass(frozen=True, slots=True)
class Network:
    """A cluster's ranges.

    >>> Network("old", 7).real("198.18.7.21")
    '127.50.7.21'
    """

    cloud: str
    number: int

    @property
    def services(self) -> str:
        return f"127.{SERVICES[self.cloud]}.{self.number}.0/24"

    @property
    def api_service(self) -> str:
        """The address of the service `kubernetes`: the range's first."""
        return f"127.{SERVICES[self.cloud]}.{self.number}.1"

    @property
    def node(self) -> str:
        return f"127.{NODES}.{self.number}.1"

    @property
    def load_balancers(self) -> list[str]:
        return [f"127.{LOAD_BALANCERS}.{self.number}.{last}" for last in range(1, 255)]

    @property
    def pods(self) -> list[str]:
        """What pods' status may show."""
        return [f"{SHOWN_PODS}.{self.number}.{last}" for last in range(1, 255)]

    def real(self, shown: str) -> str:
        """Return where a pod really listens; an address that is no pod's stays as it is."""
        start = f"{SHOWN_PODS}.{self.number}."
        if not shown.startswith(start):
            return shown
        return f"127.{PODS}.{self.number}.{shown.removeprefix(start)}"

    @property
    def prefixes(self) -> list[str]:
        seconds = (SERVICES[self.cloud], LOAD_BALANCERS, NODES, PODS)
        return [f"127.{second}.{self.number}." for second in seconds]


def free_network(cloud: str, taken: Collection[int]) -> Network:
    """Return a network whose number is not in ``taken`` and in whose ranges nobody listens."""
    listening = listening_addresses()
    for number in random.sample(range(256), 256):
        network = Network(cloud, number)
        starts = tuple(network.prefixes)
        if number not in taken and not any(each.startswith(starts) for each in listening):
            return network
    raise LocalCloudError("every address range of the local clouds is in use", code="full")


def listening_addresses() -> set[str]:
    """Return the IPv4 addresses that something listens on: proc_net_tcp, state 0A."""
    found = set()
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            number = int.from_bytes(bytes.fromhex(fields[1].partition(":")[0]), "little")
            found.add(str(ipaddress.IPv4Address(number)))
    return found
