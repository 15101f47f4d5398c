# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The last look before a crossing: what was written last, compared within a few milliseconds.

Writers wait while it runs, so all that can be is done before: ``prepare`` picks the tables, builds
one statement for each side, has it planned and its pages read. ``delta`` executes both at once, one
round trip a side. The statement looks at the clock before each table and passes over what is left
when its time is up: what was compared by then counts, and what was not is told.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import NotConvergedError
from ..catalog import catalog
from ..catalog.catalog import Catalog, Table
from ..connection import translated
from . import checksum, differing, rereading
from .delta_plan import Item, Left, Written, plan
from .opening import SERVER_ENCODING, Found, Names, Sides, on_both, unread, with_common_key
from .rereading import Candidates, Key
from .side import Side
from .verdict import SHOWN, Moving

try:
    import psycopg
    from psycopg import sql
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.sql import Composable

# Counters since the statistics were reset: which tables are written to.
WRITTEN = """\
SELECT schemaname::text, relname::text, n_tup_ins + n_tup_upd + n_tup_del
  FROM pg_stat_user_tables"""

# Subqueries that refer to nothing outside are run when their value is asked for, so CASE decides
# (executor/nodeSubplan.c, ExecSetParamPlan).
UNTIL = """\
CASE WHEN clock_timestamp() < statement_timestamp() + $1 * interval '1 ms' THEN ({}) END"""
ITEM = """\
SELECT ARRAY[count(*)::text, encode({digest}, 'hex'),
             extract(epoch FROM clock_timestamp() - statement_timestamp())::text]
  FROM ({rows}) d"""
TOGETHER = "string_agg(h, ''::bytea ORDER BY h)"

# The share of the budget after which no further table is begun; at the end of it all is lost.
BEGUN_WITHIN = 0.7

# One plan for all executions, known since 12, and no compiling.
SETTINGS = "SET plan_cache_mode = force_generic_plan; SET jit = off"
PLENTY_MS = 60_000

# How long rows take is measured: their sizes do not tell, for values may be compressed.
WARM_RUNS = 3
ITEM_MS = 1.5


@dataclass(frozen=True, slots=True)
class Prepared:
    """Both sessions' prepared statement, and what it compares."""

    sides: Sides
    name: str
    items: Sequence[Item]
    left: Sequence[Left]


def written(conn: Connection) -> Written:
    """Return how often each table was written to, for telling by a second look which ones are."""
    return {(nspname, relname): count for nspname, relname, count in conn.execute(WRITTEN)}


def prepare(
    source: Connection,
    target: Connection,
    moving: Iterable[Moving] = (),
    since: Written | None = None,
    tables: Collection[Names] | None = None,
) -> Prepared:
    """Return what is to be compared, prepared on both sessions; to be called before the stall.

    :param source: a session as connect() pins it, in no transaction, as is ``target``; the same
        ones are given to delta().
    :param moving: rows that a comparison under traffic could say nothing of.
    :param since: an earlier look at what was written; without one, all that ever was counts.
    :param tables: those that the target follows; None: all that both sides have.
    """
    sides = _sides(source, target)
    now = written(source)
    before = since or {}
    counts = {names: count - before.get(names, 0) for names, count in now.items()}
    both = _tables(sides)
    followed = {names: both[names] for names in both if tables is None or names in tables}
    items, left = plan(followed, moving, counts)
    return _without_slow(_prepared(sides, items, left))


def delta(
    source: Connection, target: Connection, prepared: Prepared, budget_ms: float
) -> dict[str, Any]:
    """Compare within ``budget_ms``; return what was compared and what was not.

    Both sides must be at rest and the target have everything. Raise NotConvergedError, naming the
    rows and with the evidence, if something differs.
    """
    started = time.monotonic()
    conns = {"source": source, "target": target}
    one, other = on_both(lambda side: _execute(conns[side], prepared, budget_ms))
    elapsed_ms = (time.monotonic() - started) * 1000
    pairs = list(zip(prepared.items, one, other, strict=True))
    late = [
        Left(str(item.table), item.what, "no time was left")
        for item, before, after in pairs
        if before is None or after is None
    ]
    compared = [(item, before, after) for item, before, after in pairs if before and after]
    wrong = [item for item, before, after in compared if before[:2] != after[:2]]
    evidence = {
        "equal": not wrong,
        "budget_ms": budget_ms,
        "elapsed_ms": round(elapsed_ms, 3),
        "rows": sum(int(before[0]) for _item, before, _after in compared),
        "compared": [
            {"table": str(item.table), "what": item.what, "rows": int(before[0])}
            for item, before, _after in compared[:SHOWN]
        ],
        "compared_count": len(compared),
        "left": [each._asdict() for each in [*late, *prepared.left][:SHOWN]],
        "left_count": len(late) + len(prepared.left),
    }
    if wrong:
        _raise(prepared, wrong, evidence)
    return evidence


def _raise(prepared: Prepared, wrong: Sequence[Item], evidence: dict[str, Any]) -> None:
    rows = [
        {"table": str(item.table), "rows": _named(prepared.sides, item)[:SHOWN]} for item in wrong
    ]
    first = rows[0]
    named = f": {', '.join(first['rows'][:3])}" if first["rows"] else ""
    raise NotConvergedError(
        f"Source and target differ in {len(rows)} of the tables that were written to last, first"
        f" {first['table']}{named}.",
        hint="Nothing was crossed. Find out who wrote to the target, then verify and cross again.",
        result={"evidence": {**evidence, "differing": rows}},
    )


def _named(sides: Sides, item: Item) -> list[str]:
    """Return the rows that differ: of the newest, each side may have others."""
    keys: set[Key] = set()
    for side in sides:
        with translated(side.name):
            rows = side.conn.execute(rereading.seen(side, item.table, item.only))
            keys.update(tuple(row[0]) for row in rows)
    if not keys:
        return []
    candidates = [Candidates(item.table, sorted(keys))]
    found = [
        rereading.rows_of(candidates[0].keys, rereading.look(side, candidates)[0]) for side in sides
    ]
    names = differing.names_of(sides[0], item.table)
    return [str(each) for each in differing.compare(item.table, names, found[0], found[1])]


def _sides(source: Connection, target: Connection) -> Sides:
    conns = {"source": source, "target": target}
    found = on_both(lambda side: _read(conns[side]))
    one, other = (unread(name, {}, conn, found) for name, conn in conns.items())
    return one, other


def _read(conn: Connection) -> Found:
    tables = {table.names: table for table in catalog.read_tables(conn)}
    row = conn.execute(SERVER_ENCODING).fetchone()
    return Found(Catalog(conn.info.server_version, {}, tables), str(row[0]) if row else "")


def _tables(sides: Sides) -> dict[Names, Table]:
    """Return the tables that both sides have and replication carries, as the source has them."""
    source = sides[0]
    return {
        names: with_common_key(source.catalog.tables[names], shape)
        for names, shape in source.shapes.items()
        if source.catalog.tables[names].relkind == "r"
    }


def _without_slow(first: Prepared) -> Prepared:
    costs_ms = zip(*on_both(lambda side: _costs_ms(first, side)), strict=True)
    slow = [max(costs) > ITEM_MS for costs in costs_ms]
    if not any(slow):
        return first
    reason = f"it takes more than {ITEM_MS:g} ms"
    both = list(zip(first.items, slow, strict=True))
    left = [Left(str(item.table), item.what, reason) for item, is_slow in both if is_slow]
    items = [item for item, is_slow in both if not is_slow]
    second = _prepared(first.sides, items, [*first.left, *left])
    on_both(lambda side: _costs_ms(second, side))
    return second


def _prepared(sides: Sides, items: Sequence[Item], left: Sequence[Left]) -> Prepared:
    found = Prepared(sides, f"landbridge_delta_{uuid.uuid4().hex[:8]}", items, left)
    on_both(lambda side: _prepare(found, sides[side == "target"]))
    return found


def _costs_ms(prepared: Prepared, name: str) -> list[float]:
    """Execute as will be later, which has pages read; return what each item takes at best."""
    conn = prepared.sides[name == "target"].conn
    best = [float("inf")] * len(prepared.items)
    for _unused in range(WARM_RUNS):
        ended_ms = 0.0
        for place, found in enumerate(_execute(conn, prepared, PLENTY_MS)):
            began_ms, ended_ms = ended_ms, float(found[2]) * 1000 if found else float("inf")
            best[place] = min(best[place], ended_ms - began_ms)
    return best


def _prepare(prepared: Prepared, side: Side) -> None:
    if not prepared.items:
        return
    items = [sql.SQL(UNTIL).format(_item(side, item)) for item in prepared.items]
    name = sql.Identifier(prepared.name)
    statement = sql.SQL("PREPARE {} (float8) AS SELECT {}").format(name, sql.SQL(",\n").join(items))
    with translated(side.name):
        if side.conn.info.server_version >= 120000:
            side.conn.execute(SETTINGS)
        side.conn.execute(statement)


def _item(side: Side, item: Item) -> Composable:
    rows = checksum.digests_of(item.table, {"h": side.digest(item.table)}, only=item.only)
    return sql.SQL(ITEM).format(digest=side.dialect.digest_bytes(sql.SQL(TOGETHER)), rows=rows)


def _execute(
    conn: Connection, prepared: Prepared, budget_ms: float
) -> Sequence[Sequence[str] | None]:
    """Return of each item how many rows, their digest, and how many seconds had passed by then.

    None of one that there was no time for.
    """
    nothing = [None] * len(prepared.items)
    if not prepared.items:
        return nothing
    message = (
        f"SET statement_timeout = {max(1, int(budget_ms))};"
        f' EXECUTE "{prepared.name}" ({budget_ms * BEGUN_WITHIN:.3f});'
        " SET statement_timeout = 0"
    )
    try:
        cursor = conn.execute(message.encode())
    except psycopg.errors.QueryCanceled:  # and the setting is what it was: one transaction
        return nothing
    cursor.nextset()
    return cursor.fetchone() or nothing
