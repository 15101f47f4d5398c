# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a database holds, read in a fixed number of round trips however many objects there are.

Fifty milliseconds away a query an object would take minutes, so every class is one query
(catalog_sql.py) and all of them are one message to the server. Extensions' members and schema
``landbridge`` (our own bookkeeping) do not count as the database's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from . import catalog_sql

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

# Long, and possibly with secrets in them: known by their digests.
DIGESTED = frozenset({"body"})


class Key(NamedTuple):
    """An object: its class and the names that lead to it, unquoted.

    >>> str(Key("column", ("public", "orders", "Total")))
    'column public.orders."Total"'
    """

    kind: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def name(self) -> str:
        if self.kind == "function":  # the last of its names are its arguments
            return f"{dotted(self.names[:2])}({self.names[2]})"
        return dotted(self.names)


Properties = Mapping[str, Any]


class Column(NamedTuple):
    name: str
    type_oid: int


@dataclass(frozen=True, slots=True)
class Table:
    """A table, leaf partition or materialized view: what holds rows of its own.

    :param relkind: ``r`` or ``m``.
    :param key: columns whose values tell rows apart; empty if there are none.
    :param condition: which rows of an extension's table are the user's; empty: all.
    """

    nspname: str
    relname: str
    relkind: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    pages: int
    reltuples: float
    toast_bytes: int
    populated: bool
    condition: str

    @property
    def names(self) -> tuple[str, str]:
        return (self.nspname, self.relname)

    @property
    def size_bytes(self) -> int:
        return self.pages * 8192 + self.toast_bytes

    def __str__(self) -> str:
        return dotted(self.names)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything in a database but its rows. ``version`` is server_version_num."""

    version: int
    objects: Mapping[Key, Properties]
    tables: Mapping[tuple[str, str], Table]

    def counts(self) -> dict[str, int]:
        """Return the number of objects of each class."""
        counted: dict[str, int] = {}
        for key in self.objects:
            counted[key.kind] = counted.get(key.kind, 0) + 1
        return dict(sorted(counted.items()))


def dotted(names: Sequence[str]) -> str:
    """Return ``names`` as a person writes them, quoted where Postgres would need it."""
    return ".".join(_written(name) for name in names if name)


def _written(name: str) -> str:
    if re.fullmatch(r"[a-z_][a-z0-9_$]*", name):
        return name
    return '"' + name.replace('"', '""') + '"'


def read(conn: Connection) -> Catalog:
    """Return the catalog of the database that ``conn`` is open on, in one round trip."""
    version = conn.info.server_version
    statements = [*catalog_sql.queries(version), catalog_sql.tables_query(version)]
    cursor = conn.execute(";\n".join(statements))
    objects: dict[Key, Properties] = {}
    for _unused in range(len(statements) - 1):
        _add(objects, cursor)
        cursor.nextset()
    tables = [_table(row) for row in cursor]
    return Catalog(version, objects, {table.names: table for table in tables})


def read_tables(conn: Connection) -> list[Table]:
    """Return only the tables, by name."""
    query = catalog_sql.tables_query(conn.info.server_version)
    return [_table(row) for row in conn.execute(query)]


def _add(objects: dict[Key, Properties], cursor: Cursor[Any]) -> None:
    for kind, names, properties in cursor:
        key = Key(kind, tuple(name or "" for name in names))
        for name in DIGESTED.intersection(properties):
            digest = sha256(str(properties[name]).encode()).hexdigest()
            properties[name] = f"sha256:{digest[:16]}"
        objects[key] = properties


def _table(row: tuple[Any, ...]) -> Table:
    nspname, relname, relkind, columns, key, pages, reltuples, toast, populated, condition = row
    return Table(
        nspname,
        relname,
        relkind,
        tuple(Column(*column) for column in columns),
        tuple(key or ()),
        pages,
        reltuples,
        toast,
        populated,
        condition,
    )
