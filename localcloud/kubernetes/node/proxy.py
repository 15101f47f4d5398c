"""The service proxy: listens where Services have addresses and passes on what comes, byte by byte.

A Service without ready endpoints has no listener, so that a client is refused at once, as
kube-proxy's rules do it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import struct
import sys
from collections.abc import Callable

from .api import Api, Informer
from .routes import Listener, Route, routes

CHUNK = 64 * 1024
CONNECT_TIMEOUT_S = 5.0


class Proxy:
    """Keeps a listener for each route."""

    def __init__(
        self, api: Api, node: str, real: Callable[[str], str], always: dict[Listener, Route]
    ) -> None:
        self._node = node
        self._real = real
        self._always = always
        self._dirty = asyncio.Event()
        self._routes: dict[Listener, Route] = {}
        self._servers: dict[Listener, asyncio.Server] = {}
        self._turns = itertools.count()
        self._failed: set[Listener] = set()

        def changed(*_: object) -> None:
            self._dirty.set()

        self.services = Informer(api, "/api/v1/services", changed)
        self._slices = Informer(api, "/apis/discovery.k8s.io/v1/endpointslices", changed)

    async def run(self) -> None:
        """Follow Services and their endpoints for ever."""
        await asyncio.gather(self.services.run(), self._slices.run(), self._converge())

    async def _converge(self) -> None:
        await self.services.synced.wait()
        await self._slices.synced.wait()
        while True:
            self._dirty.clear()
            services, slices = self.services.objects.values(), self._slices.objects.values()
            found = routes(list(services), list(slices), self._node, self._real)
            self._routes = found | self._always
            for gone in self._servers.keys() - self._routes.keys():
                self._servers.pop(gone).close()
            for wanted in self._routes.keys() - self._servers.keys():
                await self._listen(wanted)
            await self._dirty.wait()

    async def _listen(self, listener: Listener) -> None:
        """Listen at an address; that it cannot be is told once (a port that only root may have)."""

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._accepted(listener, reader, writer)

        try:
            self._servers[listener] = await asyncio.start_server(accepted, *listener)
            self._failed.discard(listener)
        except OSError as exc:
            if listener not in self._failed:
                self._failed.add(listener)
                print(f"{listener.host}:{listener.port}: {exc}", file=sys.stderr, flush=True)

    async def _accepted(
        self, listener: Listener, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        route, peer = self._routes.get(listener), writer.get_extra_info("peername")
        admitted = route is not None and peer is not None and route.admits(peer[0])
        upstream = await self._connect(route) if route is not None and admitted else None
        if upstream is None:
            _reset(writer)
            return
        try:
            await _both_ways((reader, writer), upstream)
        finally:
            writer.close()

    async def _connect(
        self, route: Route
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Return a connection to the next endpoint in turn that takes one."""
        first = next(self._turns)
        for offset in range(len(route.targets)):
            host, port = route.targets[(first + offset) % len(route.targets)]
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    return await asyncio.open_connection(host, port)
        return None


async def _both_ways(
    client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass_on(client[0], upstream[1]))
            group.create_task(_pass_on(upstream[0], client[1]))
    except* OSError:
        _reset(client[1])  # an answer that was cut off does not look like a whole one
    finally:
        upstream[1].close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection by a reset: socket(7), SO_LINGER of no time."""
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on until the end of the stream; then end the other one's half, too."""
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
