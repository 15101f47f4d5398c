"""Asking a container whether it is well: exec, httpGet and tcpSocket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

Object = dict[str, Any]


class Asked(NamedTuple):
    """An answer, and why it is no if it is."""

    success: bool
    message: str = ""


class Place(NamedTuple):
    """Where a container is: its address, its folder and variables, and the names of its ports."""

    address: str
    root: Path
    env: Mapping[str, str]
    ports: Mapping[str, int]

    def port(self, named: int | str) -> int:
        return int(self.ports.get(str(named), named))


async def ask(probe: Object, place: Place, timeout_s: float) -> Asked:
    """Return a probe's answer; none within ``timeout_s`` is a no."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _ask(probe, place)
    except TimeoutError:
        return Asked(False, f"no answer within {timeout_s:g} s")
    except (OSError, ValueError, aiohttp.ClientError) as exc:
        return Asked(False, str(exc) or type(exc).__name__)


async def _ask(probe: Object, place: Place) -> Asked:
    if "exec" in probe:
        return await _run(probe["exec"]["command"], place)
    if "httpGet" in probe:
        return await get(probe["httpGet"], place)
    if "tcpSocket" in probe:
        wanted = probe["tcpSocket"]
        _, writer = await asyncio.open_connection(
            wanted.get("host") or place.address, place.port(wanted["port"])
        )
        writer.close()
        return Asked(True)
    return Asked(False, "only exec, httpGet and tcpSocket can be asked here")


async def get(wanted: Object, place: Place) -> Asked:
    """Ask by HTTP; 200 to 399 is a yes, and a certificate is not looked at."""
    scheme = wanted.get("scheme", "HTTP").lower()
    host = wanted.get("host") or place.address
    url = f"{scheme}://{host}:{place.port(wanted['port'])}{wanted.get('path', '/')}"
    headers = {each["name"]: each["value"] for each in wanted.get("httpHeaders", [])}
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers, ssl=False, allow_redirects=False) as answer,
    ):
        yes = 200 <= answer.status < 400
        return Asked(yes, "" if yes else f"HTTP status {answer.status}")


async def _run(command: Sequence[str], place: Place) -> Asked:
    """Run a command beside the container; exit status 0 is a yes."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=place.root,
        env=dict(place.env),
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    words = output.decode(errors="replace").strip()[-500:]
    return Asked(process.returncode == 0, words or f"exit status {process.returncode}")
