"""What clients may ask for of a cluster."""

from __future__ import annotations

from typing import Any

from ..requests import read_body, text


def read_create(body: Any) -> dict[str, Any]:
    """Return the description of a cluster to make; all of it may be left out."""
    readers = {"version": lambda value: text("version", value)}
    return read_body({} if body is None else body, {"version"}, readers)
