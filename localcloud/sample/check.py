"""Check the ledger against the databases: every acknowledged write is there exactly once.

Keys go to the server as arrays, so that one query a table answers for all of them; what the
answers mean is decided by a pure function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from ..errors import LocalCloudError
from . import ledger, names
from .ledger import ACKNOWLEDGED, ERROR, INTENT, UNKNOWN, Outage, Record, Write
from .places import Places
from .workload import WORKLOADS, Workload

Conn = psycopg.Connection[Any]

# Keys a query; a multiple of it in a few round trips.
KEYS_A_QUERY = 100_000

FOUND = """
SELECT t.key::text, count(*)
  FROM ({rows}) AS t
 WHERE t.key = ANY(%s::uuid[])
 GROUP BY t.key
"""

# One snapshot for all questions, so that writers may go on meanwhile.
SNAPSHOT = """
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL statement_timeout = 0;
SET LOCAL lock_timeout = '10s'
"""

LISTED = 20


@dataclass(frozen=True, slots=True)
class Findings:
    """What comparing found: keys, each with the table that tells."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)  # unknown, and neither whole nor absent
    risen: list[str] = field(default_factory=list)  # refused, and there all the same
    unknown_there: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """The check of one database; ``address`` is where its name points to."""

    name: str
    address: str
    acknowledged: int
    unknown: int
    errors: Mapping[str, int]
    longest_wait_ms: float
    outages: Sequence[Outage]
    damaged: int
    findings: Findings
    broken: Mapping[str, int]  # invariants and by how much

    @property
    def passed(self) -> bool:
        found = self.findings
        wrong = found.lost or found.doubled or found.torn or found.risen
        return not (wrong or self.broken or self.damaged)

    @property
    def longest_outage(self) -> Outage | None:
        """The outage that lasted longest; one that has not ended is longer than any."""
        return max(self.outages, key=_length, default=None)


def _length(outage: Outage) -> float:
    return float("inf") if outage.seconds is None else outage.seconds


def check(places: Places, name: str) -> Checked:
    """Compare the ledger of ``name`` with the database its name points to now."""
    record = ledger.read(places.ledger(name))
    address = names.resolve(places, name)
    workload = WORKLOADS[name]
    try:
        keywords = {**address.keywords(), **names.STATELESS, "connect_timeout": 10}
        with psycopg.connect(**keywords, autocommit=True) as conn:
            conn.execute(SNAPSHOT)
            found = read(conn, workload, list(record.writes))
            broken = read_invariants(conn, workload)
    except psycopg.Error as exc:
        raise LocalCloudError(f"{name}: {address.host}:{address.port}: {exc}") from exc
    return _checked(
        name, f"{address.host}:{address.port}", record, compare(record.writes, found), broken
    )


def _checked(
    name: str, address: str, record: Record, findings: Findings, broken: Mapping[str, int]
) -> Checked:
    return Checked(
        name=name,
        address=address,
        acknowledged=len(record.keys(ACKNOWLEDGED)),
        unknown=len(record.keys(UNKNOWN, INTENT)),
        errors=record.errors,
        longest_wait_ms=record.longest_wait_ms,
        outages=record.outages,
        damaged=record.damaged,
        findings=findings,
        broken=broken,
    )


def read(conn: Conn, workload: Workload, keys: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return for each table how many rows each of ``keys`` has; keys without rows are left out."""
    found: dict[str, dict[str, int]] = {table: {} for table in workload.rows}
    for start in range(0, len(keys), KEYS_A_QUERY):
        some = list(keys[start : start + KEYS_A_QUERY])
        for table, rows in workload.rows.items():
            query = sql.SQL(FOUND).format(rows=sql.SQL(rows))
            found[table].update(dict(conn.execute(query, [some]).fetchall()))
    return found


def read_invariants(conn: Conn, workload: Workload) -> dict[str, int]:
    """Return the invariants that do not hold, and by how much."""
    values = {}
    for sentence, query in workload.invariants.items():
        for (value,) in conn.execute(sql.SQL(query)):
            values[sentence] = int(value)
    return {sentence: value for sentence, value in values.items() if value}


def compare(writes: Mapping[str, Write], found: Mapping[str, Mapping[str, int]]) -> Findings:
    """Return what is wrong with ``found``, the rows of each key in each table."""
    findings = Findings()
    unknown_there = 0
    for key, write in writes.items():
        rows = {table: found[table].get(key, 0) for table in found}
        wanted = {table: write.rows.get(table, 0) for table in found}
        absent = not any(rows.values())
        if write.outcome == ACKNOWLEDGED:
            findings.lost.extend(_where(key, rows, wanted, less=True))
            findings.doubled.extend(_where(key, rows, wanted, less=False))
        elif write.outcome == ERROR:
            findings.risen.extend([] if absent else [key])
        else:
            unknown_there += rows == wanted
            findings.torn.extend([] if absent or rows == wanted else [key])
    return Findings(findings.lost, findings.doubled, findings.torn, findings.risen, unknown_there)


def _where(
    key: str, rows: Mapping[str, int], wanted: Mapping[str, int], *, less: bool
) -> list[str]:
    wrong = [
        f"{table}: {rows[table]} instead of {wanted[table]}"
        for table in rows
        if (rows[table] < wanted[table] if less else rows[table] > wanted[table])
    ]
    return [f"{key} ({', '.join(wrong)})"] if wrong else []


def describe(checked: Checked) -> dict[str, Any]:
    """Return a check as JSON has it; lists of keys are capped, their counts are not."""
    found = checked.findings
    lists = {"lost": found.lost, "doubled": found.doubled, "torn": found.torn, "risen": found.risen}
    longest = checked.longest_outage
    return {
        "name": checked.name,
        "address": checked.address,
        "passed": checked.passed,
        "acknowledged": checked.acknowledged,
        "unknown": checked.unknown,
        "unknown_there": found.unknown_there,
        "errors": dict(checked.errors),
        "errors_count": sum(checked.errors.values()),
        "longest_wait_ms": checked.longest_wait_ms,
        "outages_count": len(checked.outages),
        "longest_outage": describe_outage(longest) if longest else None,
        "broken": dict(checked.broken),
        "damaged_lines": checked.damaged,
        **{f"{kind}_count": len(keys) for kind, keys in lists.items()},
        **{kind: keys[:LISTED] for kind, keys in lists.items()},
    }


def describe_outage(outage: Outage) -> dict[str, Any]:
    """Return an outage as JSON has it: first refused, first accepted, seconds."""
    return {
        "first_refused": outage.start.isoformat(),
        "first_accepted": outage.end.isoformat() if outage.end else None,
        "seconds": outage.seconds,
    }
