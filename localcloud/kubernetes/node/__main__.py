"""`python -m localcloud.kubernetes.node FOLDER`: the node of the cluster in FOLDER."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from ... import files
from ...ports import free_port
from ..configuration import NODE, Configuration
from . import registration
from .api import Api
from .balancer import Balancers
from .events import Events
from .logs import LogServer
from .material import Objects
from .pods import Pods
from .provisions import Node
from .proxy import Proxy
from .routes import Listener, Route

HTTPS = 443


def main() -> None:
    cluster = Path(sys.argv[1])
    asyncio.run(run(cluster))


async def run(cluster: Path) -> None:
    """Be the node until SIGTERM; then stop the pods' processes."""
    configuration = Configuration.of_json(files.read_json(cluster / "cluster.json"))
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    async with AsyncExitStack() as stack:
        sessions = {
            name: await stack.enter_async_context(Api.session(configuration, cluster, name))
            for name in (NODE, "proxy", "balancer")
        }
        proxy = _proxy(sessions["proxy"], configuration)
        node = _node(sessions[NODE], proxy, configuration, cluster / NODE)
        pods = Pods(node)
        addresses = configuration.network.load_balancers
        balancers = Balancers(sessions["balancer"], addresses, node.services)
        port = free_port([configuration.network.node])
        logs = LogServer(pods.logs, pods.running)
        runner = await logs.listen(cluster / "pki", configuration.network.node, port)
        await _until(
            ending,
            registration.keep(node.api, configuration, port),
            proxy.run(),
            pods.run(),
            node.events.run(),
            balancers.run(),
        )
        await pods.leave()
        await runner.cleanup()


def _node(api: Api, proxy: Proxy, configuration: Configuration, folder: Path) -> Node:
    return Node(
        configuration=configuration,
        folder=folder,
        api=api,
        objects=Objects(api),
        events=Events(api),
        services=lambda: list(proxy.services.objects.values()),
        path=os.environ["PATH"],
    )


def _proxy(api: Api, configuration: Configuration) -> Proxy:
    """Return the proxy; what no endpoint may say is where the API server is."""
    network = configuration.network
    listener = Listener(network.api_service, HTTPS)
    always = {listener: Route(((configuration.host, configuration.port),))}
    return Proxy(api, network.node, network.real, always)


async def _until(ending: asyncio.Event, *parts: Coroutine[Any, Any, Any]) -> None:
    """Run the parts until the end comes. Raise if one of them ends before: that is a bug."""
    tasks = [asyncio.create_task(part) for part in (*parts, ending.wait())]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


if __name__ == "__main__":
    main()
