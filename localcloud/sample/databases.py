"""What the sample platform consists of. The SQL of each database lies in `databases/<name>/`.

Files run in the order of their names, each in one transaction; the ones before `20-` make the
tables, then come rows that no SQL can make (`content.py`), then the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from ..errors import NotFound
from . import content

FOLDER = Path(__file__).parent / "databases"

Conn = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Database:
    """One database of the sample.

    :param name: the service's name: of the host in the inventory, of the writer, in names.json.
    :param dbname: Postgres' name of it.
    :param writes: whether the service writes all the time.
    :param content: puts in the rows that no SQL file makes, as the owner.
    :param groups: roles without login that rights are granted to, beside owner and app.
    """

    name: str
    dbname: str
    writes: bool = True
    content: Callable[[Conn], None] | None = None
    groups: tuple[str, ...] = ()

    @property
    def owner(self) -> str:
        """The role that owns everything in it and cannot log in."""
        return f"{self.name}_owner"

    @property
    def app(self) -> str:
        """The role that the service logs in as, with the least rights it needs."""
        return f"{self.name}_app"

    @property
    def unfinished(self) -> str:
        """The name it has until its content is complete."""
        return f"{self.dbname} (loading)"

    def scripts(self) -> tuple[list[Path], list[Path]]:
        """Return the SQL files to run before ``content`` and those after it."""
        paths = sorted((FOLDER / self.name).glob("*.sql"))
        return [p for p in paths if p.name < "20"], [p for p in paths if p.name >= "20"]


# The longest to load first: with two at a time the last one then does not stand alone.
DATABASES = (
    Database("metrics", "metrics"),
    Database("flights", "flights", writes=False, content=content.load_flights),
    Database("shop", "shop"),
    Database("identity", "identity"),
    Database("media", "media", writes=False, content=content.load_media),
    Database("legacy", 'Legacy "Billing"', groups=("Billing Clerks",)),
)


def select(names: list[str]) -> list[Database]:
    """Return the databases named, or all. Raise NotFound for a name that is none."""
    known = {database.name: database for database in DATABASES}
    if unknown := [name for name in names if name not in known]:
        raise NotFound(f"no database {unknown[0]!r} in the sample; there are: {', '.join(known)}")
    return [known[name] for name in names] if names else list(DATABASES)
