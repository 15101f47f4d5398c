# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a schema and its relations to statements that come first and parts that follow.

Small tables that nothing else is made from are not made beforehand but inside their batch: the
first row is then copied after the statements for a few tables, not after those for thousands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..text import qualified
from .build import UNKNOWN_S, after_data, table_build
from .part import BATCH, COPY, MB, SMALL_TABLE_S, Part, copy_cost_s
from .relations import PG_CLASS, Configured, Index, Relations, Table
from .schema import PG_STATISTIC_EXT, Schema
from .toc import Entry

SMALL_TABLE_BYTES = MB
SMALL_INDEXES_BYTES = 4 * MB
BATCH_TABLES = 50
BATCH_BYTES = 8 * MB

# A range of a table cannot be frozen, so a table is split only where cores would stand idle.
SPLIT_FROM_JOBS = 4
SPLIT_FROM_S = 20.0

PG_ATTRDEF = 2604


class Plan(NamedTuple):
    """``ddl`` is done in one transaction, which also writes down ``parts``."""

    ddl: list[str]
    parts: list[Part]


class Setting(NamedTuple):
    """What a plan depends on besides the source; ``live`` if that stays open."""

    jobs: int
    small_sessions: int
    live: bool = False


def build(schema: Schema, relations: Relations, setting: Setting) -> Plan:
    """Return the plan of a whole copy."""
    indexes = relations.indexes_of()
    small = {t.oid for t in relations.ordinary() if _small(t, indexes.get(t.oid, ()))}
    needed = relations.needed | relations.needed_sequences()
    # What an earlier epoch brings names tables of a later one, so in live mode all are there first.
    sunk = {
        oid for oid in small
        if not setting.live and _self_contained(relations.tables[oid], needed)
    }  # fmt: skip
    ddl, created = _created(schema.pre, relations, sunk)
    for oid, entries in schema.after.items():
        if oid not in sunk and relations.tables[oid].relkind == "r":
            ddl += [s for e in entries if e.class_oid == PG_STATISTIC_EXT for s in e.statements]
    parts = list(_batches(schema, relations, small, created, setting))
    for table in relations.ordinary():
        if table.oid not in small:
            parts += _big(table, schema, relations, setting)
    parts += after_data(schema, relations, parts)
    return Plan(ddl, parts)


def _small(table: Table, indexes: Iterable[Index]) -> bool:
    if table.has_columns and not table.columns:
        return False
    size = sum(index.bytes for index in indexes)
    return table.bytes <= SMALL_TABLE_BYTES and size <= SMALL_INDEXES_BYTES


def _self_contained(table: Table, needed: Collection[int]) -> bool:
    """Tell if nothing before the data needs the table; a family's DDL locks its parents."""
    return not (table.oid in needed or table.inherits or table.relhassubclass)


def _created(
    pre: Sequence[Entry], relations: Relations, sunk: set[int]
) -> tuple[list[str], dict[int, list[str]]]:
    """Return the statements that come first, and those of each table in ``sunk``."""
    by_number = {entry.number: entry for entry in pre}
    ddl: list[str] = []
    created: dict[int, list[str]] = defaultdict(list)
    for entry in pre:
        owner = _owner(entry, by_number, relations)
        into = created[owner] if owner is not None and owner in sunk else ddl
        into += _with_access_method(entry)
    return ddl, created


def _owner(entry: Entry, by_number: dict[int, Entry], relations: Relations) -> int | None:
    """Return the table an entry is or belongs to."""
    if entry.class_oid == PG_CLASS:
        return relations.belongs.get((PG_CLASS, entry.oid), entry.oid)
    if entry.class_oid == PG_ATTRDEF:
        return relations.belongs.get((PG_ATTRDEF, entry.oid))
    if entry.statements[0].startswith("ALTER SEQUENCE "):  # … OWNED BY
        for sequence in (by_number[n] for n in entry.depends if n in by_number):
            return relations.belongs.get((PG_CLASS, sequence.oid))
    return None


def _with_access_method(entry: Entry) -> Iterator[str]:
    first = entry.statements[0]
    if first.startswith("CREATE SCHEMA "):
        yield first.replace("CREATE SCHEMA ", "CREATE SCHEMA IF NOT EXISTS ", 1)
        yield from entry.statements[1:]
    elif entry.access_method != "heap" and first.startswith(("CREATE TABLE", "CREATE MATER")):
        yield f"SET LOCAL default_table_access_method = {entry.access_method}"
        yield from entry.statements
        yield "SET LOCAL default_table_access_method = heap"
    else:
        yield from entry.statements


def _batches(
    schema: Schema,
    relations: Relations,
    small: set[int],
    created: dict[int, list[str]],
    setting: Setting,
) -> Iterator[Part]:
    tables = [table for table in relations.ordinary() if table.oid in small]
    for number, group in enumerate(groups(tables, setting.small_sessions)):
        size = sum(table.bytes for table in group)
        payload = {"tables": [_batched(table, schema, created) for table in group]}
        cost_s = len(group) * SMALL_TABLE_S + copy_cost_s(size)
        label = f"{len(group)} small tables, first {group[0].name}"
        yield Part(f"batch:{number}", BATCH, label, cost_s, payload=payload, bytes=size)


def _batched(table: Table, schema: Schema, created: Mapping[int, list[str]]) -> dict[str, Any]:
    """Return what a batch must know of a table; what was made before has its statistics objects."""
    sunk = table.oid in created
    after = [
        statement
        for entry in schema.after.get(table.oid, ())
        for statement in entry.statements
        if sunk or entry.class_oid != PG_STATISTIC_EXT
    ]
    return {
        "oid": table.oid,
        "name": table.name,
        "bytes": table.bytes,
        "target": qualified(table.nspname, table.relname),
        "columns": table.columns,
        "create": created.get(table.oid),
        "copy": table.heap_bytes > 0,
        "unlogged": table.unlogged,
        "after": after,
    }


def groups(tables: Sequence[Table], sessions: int) -> Iterator[list[Table]]:
    """Divide small tables so that every session has two batches at least, none a large one."""
    limit = max(1, min(BATCH_TABLES, -(-len(tables) // (2 * sessions))))
    group: list[Table] = []
    size = 0
    for table in tables:
        if group and (len(group) == limit or size + table.bytes > BATCH_BYTES):
            yield group
            group, size = [], 0
        group.append(table)
        size += table.bytes
    if group:
        yield group


def _big(table: Table, schema: Schema, relations: Relations, setting: Setting) -> Iterator[Part]:
    ranges = split(table, setting.jobs)
    expressions = any(
        index.indrelid == table.oid and index.has_expression for index in relations.indexes.values()
    )
    copies = list(_copies(table, ranges, analyze=not expressions and not ranges))
    yield from copies
    yield from table_build(
        table, schema, relations, [part.id for part in copies], analyze=bool(expressions or ranges)
    )


def _copies(
    table: Table, ranges: Sequence[tuple[int, int | None]], *, analyze: bool
) -> Iterator[Part]:
    """Yield the parts that carry a table's rows."""
    target = qualified(table.nspname, table.relname)
    common = {
        "oid": table.oid,
        "name": table.name,
        "target": target,
        "unlogged": table.unlogged,
        "rows_expected": table.rows_expected,
        "after": [f"ANALYZE {target}"] if analyze else [],
        "undo": [f"TRUNCATE ONLY {target}"],
    }
    if table.has_columns and not table.columns:
        yield _whole(table, {**common, **_counted_out(target)})
    elif ranges:
        yield from _ranges(table, ranges, common)
    else:
        columns = f" ({', '.join(table.columns)})" if table.columns else ""
        payload = {
            "read": f"COPY {target}{columns} TO STDOUT",
            "before": [f"TRUNCATE ONLY {target}"],
            "write": f"COPY {target}{columns} FROM STDIN WITH (FREEZE)",
        }
        yield _whole(table, {**common, **payload})


def _whole(table: Table, payload: Mapping[str, Any]) -> Part:
    cost_s = copy_cost_s(table.bytes)
    return Part(f"copy:{table.oid}", COPY, table.name, cost_s, (), payload, table.bytes)


def _counted_out(target: str) -> dict[str, Any]:
    """Return how to carry a table none of whose columns can be written: by its row count."""
    counted = "pg_temp.landbridge_row"
    return {
        "read": f"COPY (SELECT FROM ONLY {target}) TO STDOUT",
        "before": [f"TRUNCATE ONLY {target}", f"CREATE TEMP TABLE {counted} () ON COMMIT DROP"],
        "write": f"COPY {counted} FROM STDIN",
        "after": [f"INSERT INTO {target} SELECT FROM {counted}", f"ANALYZE {target}"],
    }


def _ranges(
    table: Table, ranges: Sequence[tuple[int, int | None]], common: Mapping[str, Any]
) -> Iterator[Part]:
    """Yield a part for each range of pages.

    It goes into a table that is empty but for other ranges: nothing to truncate or to freeze.
    """
    columns = ", ".join(table.columns)
    size = table.bytes // len(ranges)
    for low, high in ranges:
        below = "" if high is None else f" AND ctid < '({high},0)'"
        within = f"ctid >= '({low},0)'{below}"
        rows = f"SELECT {columns} FROM ONLY {common['target']} WHERE {within}"  # noqa: S608
        payload = {
            **common,
            "read": f"COPY ({rows}) TO STDOUT",
            "before": [],
            "write": f"COPY {common['target']}{f' ({columns})' if columns else ''} FROM STDIN",
        }
        label = f"{table.name} from page {low}"
        yield Part(f"copy:{table.oid}:{low}", COPY, label, copy_cost_s(size), (), payload, size)


def configured(table: Configured) -> Part:
    """Return the part of the user's rows in an extension's table."""
    name = f"{table.nspname}.{table.relname}"
    target, columns = qualified(table.nspname, table.relname), ", ".join(table.columns)
    payload = {
        "oid": table.oid,
        "name": name,
        "target": target,
        "rows_expected": None,
        "read": f"COPY (SELECT {columns} FROM ONLY {target} {table.condition}) TO STDOUT",  # noqa: S608
        "before": [],
        "write": f"COPY {target} ({columns}) FROM STDIN",
        "after": [],
        "undo": [f"DELETE FROM ONLY {target} {table.condition}"],  # noqa: S608 - the extension's
    }
    return Part(f"configured:{table.oid}", COPY, name, UNKNOWN_S, payload=payload)


def split(table: Table, jobs: int) -> list[tuple[int, int | None]]:
    """Return the page ranges to copy a table in; none if it is copied whole.

    The last range is open: pages may have been added since.
    """
    if jobs < SPLIT_FROM_JOBS or copy_cost_s(table.bytes) < SPLIT_FROM_S:
        return []
    pages = table.heap_bytes // 8192
    count = min(jobs, int(copy_cost_s(table.bytes) // (SPLIT_FROM_S / 2)))
    lows = [pages * each // count for each in range(count)]
    return list(zip(lows, [*lows[1:], None], strict=True))
