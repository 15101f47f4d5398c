"""A container's output: a file for each run, and the HTTPS that `kubectl logs` comes by."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple

from aiohttp import web

from ..configuration import KUBELET_CLIENT
from .output import shown, stamp

CHUNK = 64 * 1024
LOOK_EVERY_S = 0.2


class Query(NamedTuple):
    """What is asked of a log: PodLogOptions."""

    tail: int | None = None
    limit: int | None = None
    timestamps: bool = False
    since: bytes = b""
    follow: bool = False
    previous: bool = False

    @classmethod
    def of_request(cls, query: Mapping[str, str], now_ns: int) -> Query:
        """Return what a request's parameters say. Raise ValueError if they say nothing."""
        return cls(
            tail=int(query["tailLines"]) if "tailLines" in query else None,
            limit=int(query["limitBytes"]) if "limitBytes" in query else None,
            timestamps=query.get("timestamps") == "true",
            since=_since(query, now_ns),
            follow=query.get("follow") == "true",
            previous=query.get("previous") == "true",
        )


def _since(query: Mapping[str, str], now_ns: int) -> bytes:
    if "sinceSeconds" in query:
        return stamp(now_ns - int(query["sinceSeconds"]) * 1_000_000_000)
    if "sinceTime" in query:
        at = datetime.fromisoformat(query["sinceTime"])
        return stamp(int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1000)
    return b""


def read(path: Path, query: Query) -> bytes:
    """Return what a log holds, as it is shown."""
    with path.open("rb") as file:
        file.seek(0 if query.tail is None else line_start(file, query.tail))
        found = shown(_whole(file), timestamps=query.timestamps, since=query.since)
    return found if query.limit is None else found[: query.limit]


def _whole(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines up to the first that is not written to its end yet; stay before that."""
    while True:
        at = file.tell()
        line = file.readline()
        if not line.endswith(b"\n"):
            file.seek(at)
            return
        yield line


def line_start(file: BinaryIO, count: int) -> int:
    """Return where a file's last ``count`` lines begin."""
    at = size = file.seek(0, os.SEEK_END)
    if not count or not size:
        return size
    wanted, block_end = count, size
    while block_end:
        block_start = max(0, block_end - CHUNK)
        file.seek(block_start)
        block = file.read(block_end - block_start)
        at = len(block) - (block_end == size and block.endswith(b"\n"))
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            wanted -= 1
            if not wanted:
                return block_start + at + 1
        block_end = block_start
    return 0


def newest(folder: Path, previous: bool = False) -> Path | None:
    """Return the log of a container's last run, or of the one before."""
    runs = sorted((int(path.stem), path) for path in folder.glob("*.log"))
    at = -2 if previous else -1
    return runs[at][1] if len(runs) >= -at else None


class LogServer:
    """Answers the API server, and nobody else, on the node's address."""

    def __init__(
        self,
        folder: Callable[[str, str, str], Path | None],
        running: Callable[[str, str, str], bool],
    ) -> None:
        self._folder = folder
        self._running = running

    async def listen(self, pki: Path, host: str, port: int) -> web.AppRunner:
        """Listen until the runner that is returned is cleaned up."""
        application = web.Application()
        path = "/containerLogs/{namespace}/{pod}/{container}"
        application.router.add_get(path, self._logs)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(pki / "ca.pem"))
        context.load_cert_chain(pki / "node.crt", pki / "node.key")
        context.verify_mode = ssl.CERT_REQUIRED
        await web.TCPSite(runner, host, port, ssl_context=context).start()
        return runner

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        if not _is_api_server(request):
            raise web.HTTPForbidden(text="only the API server may ask")
        info = request.match_info
        asked = (info["namespace"], info["pod"], info["container"])
        try:
            query = Query.of_request(request.query, time.time_ns())
        except ValueError as exc:
            raise web.HTTPBadRequest(text=str(exc)) from None
        folder = self._folder(*asked)
        path = newest(folder, query.previous) if folder else None
        if path is None:
            raise web.HTTPNotFound(text=f"container {asked[2]} of pod {asked[1]} has no such log")
        if not query.follow:
            return web.Response(body=read(path, query), content_type="text/plain")
        return await self._follow(request, path, query, asked)

    async def _follow(
        self, request: web.Request, path: Path, query: Query, asked: tuple[str, str, str]
    ) -> web.StreamResponse:
        """Send what the container writes until it ends."""
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        with path.open("rb") as file:
            file.seek(0 if query.tail is None else line_start(file, query.tail))
            while True:
                running = self._running(*asked)  # before reading: what it wrote last is read
                lines = _whole(file)
                await response.write(shown(lines, timestamps=query.timestamps, since=query.since))
                if not running:
                    return response
                await asyncio.sleep(LOOK_EVERY_S)


def _is_api_server(request: web.Request) -> bool:
    """Tell whether the client's certificate, which our authority signed, is the API server's."""
    certificate = request.get_extra_info("peercert") or {}
    names = dict(pair for part in certificate.get("subject", ()) for pair in part)
    return names.get("commonName") == KUBELET_CLIENT
