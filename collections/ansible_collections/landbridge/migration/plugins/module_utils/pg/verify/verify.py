# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Are two databases equal: every row, sequence, large object and object of their catalogs?

Each side reads its own tables, all sessions of a side on one snapshot, source and target at the
same time. Sums of digests (checksum.py) do not depend on the order of rows, so a side cuts its
tables where its pages lie; cutting by ranges of keys would read tables with random keys once for
every chunk, and compare texts in orders that differ between collations.
Only a table whose sums differ is read again, to name the rows (differing.py). For a source that is
written to, those rows are what must be read again, by key, once the target has passed the source's
position at reading.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ...errors import NotConvergedError, PreconditionError
from .. import sequences
from ..catalog import catalog, catalog_diff
from ..catalog.catalog import Catalog, Table, dotted
from ..catalog.catalog_diff import Difference, RoleMap
from ..connection import connect, translated
from . import differing
from .checksum import Dialect, Sum
from .progress import VerifyProgress
from .side import LARGE_OBJECTS, LOCK_TIMEOUT, Shape, Side, begin, large_objects, shape
from .summing import Sums, sum_up
from .verdict import SequenceDifference, TableResult, Verdict

if TYPE_CHECKING:
    from psycopg import Connection

T = TypeVar("T")

Server = Mapping[str, Any]
Sides = tuple[Side, Side]

LOOKED_INTO = 20  # tables whose rows are named; with more than that it is not a matter of rows

SERVER_ENCODING = "SELECT current_setting('server_encoding')"


@dataclass(frozen=True, slots=True)
class Options:
    """What to compare and how.

    :param jobs: sessions on each side.
    :param chunk_rows: about how many rows a statement reads.
    :param tables: ``schema.table`` of the tables whose rows are compared; empty: all.
    :param role_map: the target's names of the source's roles.
    """

    jobs: int
    chunk_rows: int
    tables: Sequence[str] = ()
    role_map: RoleMap = field(default_factory=dict)


def compare(source: Server, target: Server, options: Options, progress: VerifyProgress) -> Verdict:
    """Return what is equal and what is not.

    Raise PreconditionError if no table can be compared though the source has some.
    """
    started = time.monotonic()
    with _sides(source, target, options.role_map) as (sides, differences):
        pairs = _pairs(sides, options.tables)
        sums, chunks = sum_up(sides, [pair.tables for pair in pairs], options, progress)
        results = [_result(pair, sums) for pair in pairs]
        results = _look_into(sides, pairs, results, progress)
        compared, moved = _compare_sequences(sides)
        objects = [each for each in results if each.name == dotted(LARGE_OBJECTS)]
        return Verdict(
            tables=[each for each in results if each not in objects],
            large_objects=objects[0] if objects else None,
            catalog_counts=sides[0].catalog.counts(),
            catalog=differences,
            sequences_compared=compared,
            sequences=moved,
            chunks=chunks,
            algorithm=sides[0].dialect.algorithm,
            versions=(sides[0].catalog.version, sides[1].catalog.version),
            elapsed_s=time.monotonic() - started,
        )


def require_equal(verdict: Verdict) -> None:
    """Raise NotConvergedError, the evidence with it, if the databases differ."""
    if not verdict.equal:
        raise NotConvergedError(
            verdict.sentence(),
            hint="Copy again what differs, or find out who wrote to a side meanwhile.",
            result={"changed": False, "evidence": verdict.evidence()},
        )


@contextmanager
def _sides(
    source: Server, target: Server, role_map: RoleMap
) -> Iterator[tuple[Sides, list[Difference]]]:
    """Read both catalogs, then hold a snapshot on each side while the block runs."""
    with connect("source", source) as source_conn, connect("target", target) as target_conn:
        conns = {"source": source_conn, "target": target_conn}
        found = _on_both(lambda side: _read(conns[side]))
        differences = _diff(target_conn, found, role_map)
        servers = {"source": source, "target": target}
        sides = _on_both(lambda name: _side(name, servers[name], conns[name], found))
        yield sides, differences


class _Found(NamedTuple):
    catalog: Catalog
    encoding: str


def _read(conn: Connection) -> _Found:
    conn.execute(LOCK_TIMEOUT)
    row = conn.execute(SERVER_ENCODING).fetchone()
    return _Found(catalog.read(conn), str(row[0]) if row else "")


def _on_both(read: Callable[[str], T]) -> tuple[T, T]:
    """Return what ``read`` gives for each side's name, both asked at the same time."""

    def told(name: str) -> T:
        with translated(name):
            return read(name)

    with ThreadPoolExecutor(2) as pool:
        source, target = pool.map(told, ("source", "target"))
    return source, target


def _diff(
    target_conn: Connection, found: tuple[_Found, _Found], role_map: RoleMap
) -> list[Difference]:
    source, target = (each.catalog for each in found)
    with translated("target"):
        views = catalog_diff.views_to_redefine(source, target)
        redefined = catalog_diff.redefine(target_conn, views)
    return catalog_diff.diff(source, target, role_map, redefined)


def _side(name: str, server: Server, conn: Connection, found: tuple[_Found, _Found]) -> Side:
    mine, other = found if name == "source" else reversed(found)
    dialect = Dialect.between(mine.catalog.version, other.catalog.version, mine.encoding)
    shapes = {
        names: shape(table, other.catalog.tables[names])
        for names, table in mine.catalog.tables.items()
        if names in other.catalog.tables
    }
    snapshot = begin(conn, dialect)
    return Side(name, server, conn, mine.catalog, dialect, snapshot, shapes)


class _Pair(NamedTuple):
    """A table as each side has it."""

    tables: tuple[Table, Table]
    derived: bool


def _pairs(sides: Sides, wanted: Sequence[str]) -> list[_Pair]:
    """Return the tables whose rows are compared, and the large objects, if there are any."""
    source, target = (each.catalog.tables for each in sides)
    names = [each for each in source if not wanted or ".".join(each) in wanted]
    if unknown := set(wanted) - {".".join(each) for each in names}:
        raise PreconditionError(f"source: there is no table {min(unknown)}")
    both = [(source[each], target[each]) for each in names if each in target]
    pairs = [
        _Pair((_with_common_key(one, sides[0].shapes[one.names]), other), one.relkind == "m")
        for one, other in both
        if one.populated and other.populated
    ]
    if names and not pairs:
        raise PreconditionError(
            f"None of the source's {len(names)} tables is on the target: nothing was compared.",
            hint="Run pg_clone first.",
        )
    if wanted:
        return pairs
    objects = _on_both(lambda name: large_objects(sides[name == "target"].conn))
    return [*pairs, _Pair(objects, False)] if any(each.pages for each in objects) else pairs


def _with_common_key(table: Table, shape: Shape) -> Table:
    columns = {column.name for column in shape.columns}
    return table if columns.issuperset(table.key) else replace(table, key=())


def _result(pair: _Pair, sums: Sums) -> TableResult:
    table = pair.tables[0]
    source, target = (sums[name].get(table.names, Sum()) for name in ("source", "target"))
    return TableResult(str(table), source, target, table.size_bytes, pair.derived)


def _look_into(
    sides: Sides, pairs: Sequence[_Pair], results: Sequence[TableResult], progress: VerifyProgress
) -> list[TableResult]:
    """Return ``results`` with the rows that differ of the first tables that do."""
    looked_into = 0
    found = []
    for pair, result in zip(pairs, results, strict=True):
        if not (result.equal or result.derived) and looked_into < LOOKED_INTO:
            looked_into += 1
            progress.note(f"{result.name} differs; looking for the rows")
            most_rows = max(result.source.rows, result.target.rows)
            rows = differing.find(sides, pair.tables[0], most_rows)
            found.append(replace(result, differing=rows))
        else:
            found.append(result)
    return found


def _compare_sequences(sides: Sides) -> tuple[int, list[SequenceDifference]]:
    source, target = _on_both(lambda name: sequences.read(sides[name == "target"].conn))
    compared = [name for name in sorted(source.keys() & target.keys()) if name[0] != "landbridge"]
    moved = [
        SequenceDifference(name, source[name], target[name])
        for name in compared
        if source[name] != target[name]
    ]
    return len(compared), moved
