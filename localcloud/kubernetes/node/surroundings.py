"""What a container is given by its pod."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .asking import Place

Object = dict[str, Any]


class NotPulled(Exception):  # noqa: N818  # as the kubelet names it
    """There is no such image."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a container is started with."""

    argv: list[str]
    working_folder: Path
    place: Place


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a container needs of its pod."""

    prepare: Callable[[Object], Awaitable[Prepared]]
    changed: Callable[[], None]
    tell: Callable[[str, str, bool], None]
    logs: Path
    grace_s: float
