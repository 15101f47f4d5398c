"""Free ports that stay free: below the range the kernel hands out for outgoing connections."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection, Iterable

from .errors import LocalCloudError

LOWEST, HIGHEST = 20_000, 31_999
ATTEMPTS = 200


def free_port(addresses: Iterable[str], taken: Collection[int] = ()) -> int:
    """Return a port free on each of ``addresses`` now and not in ``taken``."""
    wanted = list(addresses)
    for _ in range(ATTEMPTS):
        port = random.randint(LOWEST, HIGHEST)  # noqa: S311  # no secret
        if port not in taken and all(is_free(address, port) for address in wanted):
            return port
    raise LocalCloudError(f"no free port on {', '.join(wanted)} from {LOWEST} to {HIGHEST}")


def is_free(address: str, port: int) -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True
