"""Names of the sample's databases: what DNS is to a platform, one JSON file is here.

A service resolves its database's name when it connects, and again when its time to live is over;
repointing a name replaces the file at once, so that nobody reads half of it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .. import files
from ..errors import NotFound
from . import passwords
from .databases import Database
from .places import Places, folder

# Of psycopg. No state that outlives a transaction: a pooler gives each one another session.
STATELESS: Mapping[str, Any] = {"prepare_threshold": None}


@dataclass(frozen=True, slots=True)
class Address:
    """What a name stands for: where the database is, and how its service logs in."""

    host: str
    port: int
    dbname: str
    user: str
    password_file: str
    sslmode: str = "verify-full"
    sslrootcert: str | None = None

    def keywords(self) -> dict[str, Any]:
        """Return libpq's keywords, the password read from its file."""
        keywords = {name: value for name, value in asdict(self).items() if value is not None}
        password = passwords.read(Path(keywords.pop("password_file")))
        return {**keywords, "password": password}


def address(places: Places, database: Database, server: Mapping[str, Any]) -> Address:
    """Return the address of ``database`` on ``server`` (libpq's keywords), as its service's."""
    return Address(
        host=server["host"],
        port=server["port"],
        dbname=database.dbname,
        user=database.app,
        password_file=str(places.password(database.app)),
        sslmode=server["sslmode"],
        sslrootcert=server["sslrootcert"],
    )


def pooled_address(places: Places, database: Database, pooler: Mapping[str, Any]) -> Address:
    """Return the address of ``database`` at a pooler, which calls it by its service's name."""
    return replace(address(places, database, pooler), dbname=database.name)


def read(places: Places) -> dict[str, Address]:
    """Return every name's address."""
    names = files.read_json(places.names) or {}
    return {name: Address(**address) for name, address in names.items()}


def resolve(places: Places, name: str) -> Address:
    """Return the address ``name`` has now. Raise NotFound if it has none."""
    names = read(places)
    if name not in names:
        raise NotFound(f"{places.names} has no name {name!r}: load the sample first")
    return names[name]


def repoint(places: Places, addresses: Mapping[str, Address]) -> list[str]:
    """Let names stand for other addresses, all at once. Return the names that changed."""
    with _lock(places):
        names = read(places)
        changed = [name for name, address in addresses.items() if names.get(name) != address]
        if changed:
            merged = {**names, **addresses}
            files.write_json(places.names, {name: asdict(merged[name]) for name in merged})
    return changed


@contextmanager
def _lock(places: Places) -> Iterator[None]:
    with folder(places.names).with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
