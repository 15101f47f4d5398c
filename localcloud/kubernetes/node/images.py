"""Images are names for local commands: there is no registry, and nothing is unpacked.

The table below knows a few. The cloud's own, clouds/CLOUD/images.json, is its registry: it is read
at each start of a container and adds more, such as
{"registry.example/shop/web:2": {"entry_point": ["python", "-m", "shop"], "env": {}}}.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ... import files
from ..binaries import folder_of
from .environment import Missing


class Image(NamedTuple):
    """What a container of an image runs, and the variables that the image sets."""

    entry_point: list[str]
    env: dict[str, str]


# Programs of the machine, found in PATH, and those that were built.
KNOWN: dict[str, dict[str, Any]] = {
    "busybox": {"entry_point": ["sh"]},
    "debian": {"entry_point": ["sh"]},
    "python": {"entry_point": ["python3"]},
    "registry.k8s.io/pause": {"entry_point": ["sleep", "infinity"]},
    "traefik": {"entry_point": [str(folder_of("traefik") / "traefik")]},
}


def find(reference: str, more: Mapping[str, Any]) -> Image | None:
    """Return an image by its exact reference, else by its name without tag and digest."""
    table = {**KNOWN, **more}
    for name in (reference, normalized(reference), untagged(normalized(reference))):
        if name in table:
            return Image(list(table[name]["entry_point"]), dict(table[name].get("env", {})))
    return None


def normalized(reference: str) -> str:
    """Return a reference without Docker Hub's host, which is what no host means."""
    return reference.removeprefix("docker.io/").removeprefix("library/")


def untagged(reference: str) -> str:
    """Return a reference's name: no tag, no digest; a port of its host stays."""
    name = reference.partition("@")[0]
    last = name.rpartition("/")[2]
    return name[: len(name) - len(last)] + last.partition(":")[0]


def read_table(path: Path) -> dict[str, Any]:
    """Return what the cloud's table adds. Raise Missing if it cannot be read."""
    try:
        found: dict[str, Any] = files.read_json(path) or {}
    except ValueError as exc:
        raise Missing(f"{path} is no JSON: {exc}") from None
    return found
