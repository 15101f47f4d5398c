"""The service proxy passes on what comes, byte by byte, from and to ends that we hold."""

import asyncio
import contextlib
import socket

import pytest

from localcloud.kubernetes.node.proxy import Proxy
from localcloud.kubernetes.node.routes import Listener, Route
from localcloud.ports import free_port

HOST = "127.0.0.1"
MEGABYTE = 1024 * 1024


class Through:
    """A proxy that listens for one route; its API server is never asked."""

    def __init__(self, *targets, sources=()):
        self._listener = Listener(HOST, free_port([HOST]))
        self._proxy = Proxy(None, HOST, str, {})
        self._proxy._routes = {self._listener: Route(targets, sources)}

    async def __aenter__(self):
        await self._proxy._listen(self._listener)
        return self

    async def __aexit__(self, *_):
        for server in self._proxy._servers.values():
            server.close()

    async def connect(self):
        return await asyncio.open_connection(*self._listener)


class Upstream:
    """A server at a free port that answers with what `answer` makes of all that comes."""

    def __init__(self, answer):
        self._answer = answer

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._accepted, HOST, 0)
        return self._server.sockets[0].getsockname()[:2]

    async def __aexit__(self, *_):
        self._server.close()

    async def _accepted(self, reader, writer):
        await self._answer(reader, writer)
        await close(writer)


async def echo_at_the_end(reader, writer):
    writer.write(await reader.read())
    await writer.drain()


async def reset(reader, writer):
    await reader.read(1)
    linger = b"\1\0\0\0\0\0\0\0"
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def close(writer):
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def run(scenario):
    """Run a scenario until both ends and the proxy between them are done."""

    async def limited():
        async with asyncio.timeout(30):
            await scenario
            while others := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(others)

    asyncio.run(limited())


def test_a_client_that_has_said_all_gets_all_of_the_answer():
    async def scenario():
        async with Upstream(echo_at_the_end) as target, Through(target) as proxy:
            reader, writer = await proxy.connect()
            sent = bytes(range(256)) * (4 * MEGABYTE // 256)
            writer.write(sent)
            writer.write_eof()
            assert await reader.read() == sent
            await close(writer)

    run(scenario())


def test_targets_take_turns_and_one_that_refuses_is_passed_over():
    async def scenario():
        async def one(reader, writer):
            writer.write(b"one")

        async def two(reader, writer):
            writer.write(b"two")

        refuses = (HOST, free_port([HOST]))
        said = []
        async with (
            Upstream(one) as first,
            Upstream(two) as second,
            Through(first, refuses, second) as proxy,
        ):
            for _ in range(6):
                reader, writer = await proxy.connect()
                said.append(await reader.read())
                await close(writer)
        assert sorted(set(said)) == [b"one", b"two"]
        assert b"" not in said

    run(scenario())


def test_a_reset_stays_a_reset():
    async def scenario():
        async with Upstream(reset) as target, Through(target) as proxy:
            reader, writer = await proxy.connect()
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            await close(writer)

    run(scenario())


def test_a_client_that_may_not_come_is_turned_away():
    async def scenario():
        others = ("192.0.2.0/24",)
        async with Upstream(echo_at_the_end) as target, Through(target, sources=others) as proxy:
            reader, writer = await proxy.connect()
            with pytest.raises(ConnectionResetError):
                await reader.read()
            await close(writer)

    run(scenario())
