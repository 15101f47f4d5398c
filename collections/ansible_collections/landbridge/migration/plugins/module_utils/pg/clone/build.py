# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parts that follow the rows: indexes, constraints, foreign keys, matviews, statistics.

An index is built by itself and becomes a key afterwards (ADD CONSTRAINT … USING INDEX): adding a
key outright locks its table, and the table's other indexes would wait.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..text import ident, qualified
from .part import BARRIER, BATCH, COPY, MB, SQL, VALIDATE_S_PER_MB, Part, copy_cost_s, index_cost_s
from .relations import Constraint, Index, Relations, Table
from .schema import PG_CONSTRAINT, PG_STATISTIC_EXT, Schema
from .toc import Entry

# More than this made GIN slower: its pending entries are sorted in the processor's cache or not.
WORK_MEM = {"gin": "64MB"}
DEFAULT_WORK_MEM = "512MB"
SMALL_STATEMENT_S = 0.001
ALONE_FROM_BYTES = 16 * MB
CHECKS_TOGETHER = 25
UNKNOWN_S = 0.5

# Done when nothing is left that an event trigger would fire for.
LAST = "last"


def sql_part(
    id_: str,
    label: str,
    statements: Sequence[str],
    *,
    needs: Sequence[str],
    phase: str,
    cost_s: float | None = None,
    **payload: Any,
) -> Part:
    """Return a part that runs statements on the target.

    :param payload: ``settings`` for its transaction; ``tolerant`` if a statement's failure is
        a finding; ``path`` to try after the empty search_path.
    """
    cost_s = len(statements) * SMALL_STATEMENT_S if cost_s is None else cost_s
    payload = {"statements": list(statements), **payload}
    return Part(id_, SQL, label, cost_s, tuple(needs), payload, phase=phase)


def table_build(
    table: Table, schema: Schema, relations: Relations, copies: Sequence[str], *, analyze: bool
) -> Iterator[Part]:
    """Yield a part for each index of a big table, then one for its constraints."""
    built: list[str] = []
    finish: list[str] = []
    exclusion_s = 0.0
    for entry in schema.after.get(table.oid, ()):
        if entry.class_oid == PG_STATISTIC_EXT:
            continue
        constraint = _constraint(entry, relations)
        index = relations.indexes.get(constraint.conindid if constraint else entry.oid)
        if index is None or (constraint and not usable(constraint, index)):
            finish += entry.statements
            exclusion_s += index_cost_s(index.amname, index.bytes, table.bytes) if index else 0
            continue
        create, *rest = entry.statements
        if constraint and index.definition:
            create, rest = index.definition, [using_index(table, constraint, index), *rest]
        yield _index(index, table, create, copies)
        built.append(f"index:{index.oid}")
        finish += rest
    if finish:
        cost_s = exclusion_s + len(finish) * SMALL_STATEMENT_S
        yield sql_part(
            f"finish:{table.oid}", f"constraints of {table.name}", finish, cost_s=cost_s,
            needs=[*copies, *built], phase="constraints", settings=_memory("btree"),
        )  # fmt: skip
        built.append(f"finish:{table.oid}")
    if analyze:
        yield _analyze(table, [*copies, *built], table.bytes)


def _index(index: Index, table: Table, create: str, copies: Sequence[str]) -> Part:
    return sql_part(
        f"index:{index.oid}", f"index {index.relname} of {table.name}", [create],
        cost_s=index_cost_s(index.amname, index.bytes, table.bytes), needs=copies, phase="index",
        settings=_memory(index.amname),
    )  # fmt: skip


def _memory(amname: str) -> dict[str, str]:
    return {"maintenance_work_mem": WORK_MEM.get(amname, DEFAULT_WORK_MEM)}


def _analyze(table: Table, needs: Sequence[str], size: int) -> Part:
    name = qualified(table.nspname, table.relname)
    return sql_part(
        f"analyze:{table.oid}", f"statistics of {table.name}", [f"ANALYZE {name}"],
        cost_s=min(1.0, copy_cost_s(size)), needs=needs, phase="statistics",
    )  # fmt: skip


def _constraint(entry: Entry, relations: Relations) -> Constraint | None:
    return relations.constraints.get(entry.oid) if entry.class_oid == PG_CONSTRAINT else None


def usable(constraint: Constraint, index: Index) -> bool:
    """Tell if a finished index can become the constraint: a btree, so no WITHOUT OVERLAPS."""
    known = index.definition is not None
    return known and constraint.contype in ("p", "u") and index.amname == "btree"


def using_index(table: Table, constraint: Constraint, index: Index) -> str:
    """Return the statement that makes an index its table's constraint."""
    key = "PRIMARY KEY" if constraint.contype == "p" else "UNIQUE"
    deferrable = " DEFERRABLE" if constraint.condeferrable else ""
    deferred = " INITIALLY DEFERRED" if constraint.condeferred else ""
    return (
        f"ALTER TABLE ONLY {qualified(table.nspname, table.relname)}"
        f" ADD CONSTRAINT {ident(constraint.conname)} {key}"
        f" USING INDEX {ident(index.relname)}{deferrable}{deferred}"
    )


def after_data(schema: Schema, relations: Relations, parts: Sequence[Part]) -> Iterator[Part]:
    """Yield what comes when every table has its rows and indexes, one step after the other."""
    yield Part("copied", BARRIER, "", 0, tuple(p.id for p in parts if p.kind in (COPY, BATCH)))
    yield Part("built", BARRIER, "", 0, ("copied", *(p.id for p in parts if p.kind == SQL)))
    last = "built"
    if schema.attach:
        statements = [each for entry in schema.attach for each in entry.statements]
        yield sql_part("attach", "keys of partitioned tables", statements, needs=[last],
                       phase="constraints")  # fmt: skip
        last = "attach"
    keyed = list(_foreign_keys(schema, relations, last, {part.id for part in parts}))
    yield from keyed
    yield Part("keyed", BARRIER, "", 0, (last, *(part.id for part in keyed)))
    if schema.post:
        statements = [each for entry in schema.post for each in entry.statements]
        yield sql_part("post", "triggers, rules and policies", statements, needs=["keyed"],
                       phase="constraints", tolerant=True)  # fmt: skip
    refreshed = "post" if schema.post else "keyed"
    later = [*_matviews(schema, relations, refreshed), *_parents(relations)]
    yield from later
    if schema.remarks:
        statements = [each for entry in schema.remarks for each in entry.statements]
        yield sql_part("remarks", "comments", statements, phase="finish", tolerant=True,
                       needs=[refreshed, *(part.id for part in later)])  # fmt: skip
    if schema.last:
        statements = [each for entry in schema.last for each in entry.statements]
        yield sql_part(LAST, "event triggers", statements, needs=(), phase="finish",
                       tolerant=True)  # fmt: skip


def _foreign_keys(
    schema: Schema, relations: Relations, last: str, copies: Collection[str]
) -> Iterator[Part]:
    if not schema.foreign_keys:
        return
    add: list[str] = []
    checks: dict[int, list[str]] = defaultdict(list)
    for entry in schema.foreign_keys:
        constraint = relations.constraints[entry.oid]
        table = relations.tables[constraint.conrelid]
        first, *rest = entry.statements
        if constraint.convalidated and table.relkind == "r":
            referenced = relations.tables.get(constraint.confrelid)
            frozen = f"copy:{constraint.confrelid}" in copies
            checks[table.oid] += _validation(table, constraint, referenced if frozen else None)
            first += " NOT VALID"
        add += [first, *rest]
    yield sql_part("foreign_keys", f"{len(schema.foreign_keys)} foreign keys", add, needs=[last],
                   phase="foreign keys")  # fmt: skip
    yield from _validations(checks, relations)


def _validations(checks: Mapping[int, list[str]], relations: Relations) -> Iterator[Part]:
    """Yield parts that check each table's foreign keys; small tables share one."""
    small: list[str] = []
    number = 0
    for oid, statements in checks.items():
        table = relations.tables[oid]
        if table.bytes >= ALONE_FROM_BYTES:
            yield _validate(str(oid), table.name, statements, table.bytes)
            continue
        small += statements
        if len(small) >= CHECKS_TOGETHER:
            yield _validate(f"rest:{number}", "small tables", small)
            small, number = [], number + 1
    if small:
        yield _validate(f"rest:{number}", "small tables", small)


def _validation(table: Table, constraint: Constraint, referenced: Table | None) -> Iterable[str]:
    """Return what checks a foreign key; ``referenced`` if its table was frozen as it was copied.

    For a larger table referred to, planners from version 16 on hash the rows that refer and look up
    each of the others, a miss of the processor's cache each time: 3.6 s where a merge with its
    key's index, all of whose pages are known to be visible, took 0.5 s (5M rows, 1M refer).
    """
    name = qualified(table.nspname, table.relname)
    check = f"ALTER TABLE ONLY {name} VALIDATE CONSTRAINT {ident(constraint.conname)}"
    if referenced is None or referenced.reltuples <= table.reltuples:
        return [check]
    return ["SET LOCAL enable_hashjoin = off", check, "SET LOCAL enable_hashjoin = on"]


def _validate(id_: str, whose: str, statements: Sequence[str], size: int = 0) -> Part:
    checks = sum(statement.startswith("ALTER TABLE ") for statement in statements)
    return sql_part(
        f"validate:{id_}", f"foreign keys of {whose}", statements,
        cost_s=checks * max(SMALL_STATEMENT_S, size / MB * VALIDATE_S_PER_MB),
        needs=["foreign_keys"], phase="foreign keys", tolerant=True,
    )  # fmt: skip


def _matviews(schema: Schema, relations: Relations, last: str) -> Iterator[Part]:
    """Yield matviews in the dump's order, in which each follows what it reads."""
    for entry in [*schema.pre, *schema.post]:
        table = relations.tables.get(entry.oid)
        if table is None or table.relkind != "m" or not entry.statements[0].startswith("CREATE M"):
            continue
        name = qualified(table.nspname, table.relname)
        refresh = [f"REFRESH MATERIALIZED VIEW {name}"] if table.relispopulated else []
        after = [each for e in schema.after.get(table.oid, ()) for each in e.statements]
        analyze = [f"ANALYZE {name}"] if table.relispopulated else []
        if statements := [*refresh, *after, *analyze]:
            yield sql_part(
                f"refresh:{table.oid}", f"materialized view {table.name}", statements,
                needs=[last], phase="materialized views", cost_s=UNKNOWN_S,
                settings=_memory("btree"),
            )  # fmt: skip
            last = f"refresh:{table.oid}"


def _parents(relations: Relations) -> Iterator[Part]:
    """Yield the statistics of whole families, which their members' do not make up for."""
    for table in relations.tables.values():
        if table.relhassubclass and table.relkind in ("r", "p") and not table.relispartition:
            yield replace(_analyze(table, ["keyed"], 0), id=f"family:{table.oid}")
