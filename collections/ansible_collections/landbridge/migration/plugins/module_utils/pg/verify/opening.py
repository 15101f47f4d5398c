# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two databases opened to be compared: their catalogs, the tables of both, a snapshot of each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from ...errors import PreconditionError
from ..catalog import catalog, catalog_diff
from ..catalog.catalog import Catalog, Table
from ..catalog.catalog_diff import Difference, RoleMap
from ..connection import connect, translated
from .checksum import Dialect
from .side import LOCK_TIMEOUT, Shape, Side, begin, shape

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

Server: TypeAlias = Mapping[str, Any]
Sides: TypeAlias = tuple[Side, Side]
Names: TypeAlias = tuple[str, str]

SERVER_ENCODING = "SELECT current_setting('server_encoding')"


class Found(NamedTuple):
    """What was read of a side."""

    catalog: Catalog
    encoding: str


class Pair(NamedTuple):
    """A table as each side has it."""

    tables: tuple[Table, Table]
    derived: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """Both databases, a session on each; ``differences`` are those of their catalogs."""

    servers: Mapping[str, Server]
    conns: Mapping[str, Connection]
    found: tuple[Found, Found]
    differences: Sequence[Difference]

    def side(self, name: str) -> Side:
        """Take a side's snapshot, which its session holds until its transaction ends."""
        side = unread(name, self.servers[name], self.conns[name], self.found)
        return replace(side, snapshot=begin(side.conn, side.dialect))

    def sides(self) -> Sides:
        """Take both snapshots at the same time."""
        return on_both(self.side)


@contextmanager
def opened(source: Server, target: Server, role_map: RoleMap) -> Iterator[Opened]:
    """Open a session on each side for as long as the block runs, and read both catalogs."""
    with connect("source", source) as source_conn, connect("target", target) as target_conn:
        conns = {"source": source_conn, "target": target_conn}
        found = on_both(lambda side: read(conns[side]))
        differences = _diff(target_conn, found, role_map)
        yield Opened({"source": source, "target": target}, conns, found, differences)


def on_both(call: Callable[[str], T]) -> tuple[T, T]:
    """Return what ``call`` gives for each side's name, both asked at the same time."""

    def told(name: str) -> T:
        with translated(name):
            return call(name)

    with ThreadPoolExecutor(2) as pool:
        source, target = pool.map(told, ("source", "target"))
    return source, target


def read(conn: Connection) -> Found:
    """Read what a comparison needs to know of a database."""
    conn.execute(LOCK_TIMEOUT)
    row = conn.execute(SERVER_ENCODING).fetchone()
    return Found(catalog.read(conn), str(row[0]) if row else "")


def unread(name: str, server: Server, conn: Connection, found: tuple[Found, Found]) -> Side:
    """Return a side that holds no snapshot."""
    mine, other = found if name == "source" else reversed(found)
    dialect = Dialect.between(mine.catalog.version, other.catalog.version, mine.encoding)
    shapes = {
        names: shape(table, other.catalog.tables[names])
        for names, table in mine.catalog.tables.items()
        if names in other.catalog.tables
    }
    return Side(name, server, conn, mine.catalog, dialect, "", shapes)


def pairs(sides: Sides, wanted: Sequence[str], skipped: Collection[Names] = ()) -> list[Pair]:
    """Return the tables whose rows are compared.

    :param wanted: ``schema.table`` of those that are; empty: all.
    :param skipped: the names of those that are not.

    Raise PreconditionError if none can be compared though the source has some.
    """
    source, target = (each.catalog.tables for each in sides)
    names = [each for each in source if not wanted or ".".join(each) in wanted]
    if unknown := set(wanted) - {".".join(each) for each in names}:
        raise PreconditionError(f"source: there is no table {min(unknown)}")
    both = [(source[each], target[each]) for each in names if each in target]
    found = [
        Pair((with_common_key(one, sides[0].shapes[one.names]), other), one.relkind == "m")
        for one, other in both
        if one.populated and other.populated and one.names not in skipped
    ]
    if names and not found:
        raise PreconditionError(
            f"None of the source's {len(names)} tables is on the target: nothing was compared.",
            hint="Run pg_clone first.",
        )
    return found


def with_common_key(table: Table, shape: Shape) -> Table:
    columns = {column.name for column in shape.columns}
    return table if columns.issuperset(table.key) else replace(table, key=())


def _diff(
    target_conn: Connection, found: tuple[Found, Found], role_map: RoleMap
) -> list[Difference]:
    source, target = (each.catalog for each in found)
    with translated("target"):
        views = catalog_diff.views_to_redefine(source, target)
        redefined = catalog_diff.redefine(target_conn, views)
    return catalog_diff.diff(source, target, role_map, redefined)
