# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would not survive a migration, with its remedy, and how long the migration would take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ...errors import PostgresError
from ..binaries import find
from ..catalog.catalog import Table
from ..catalog.catalog_diff import RoleMap
from ..connection import connect
from ..finding import Finding
from ..follow import reach
from ..follow.address import seen
from ..follow.reach import Attempt
from ..follow.replication_role import Login
from . import audit_facts, audit_rules
from .audit_facts import Facts, Index
from .audit_rules import Question

SHOWN = 100

# Seconds a byte, measured: docs/explanation has the machine. A guess for access methods not listed.
COPY_S = 1 / 170e6
VERIFY_S = 1 / 170e6
INDEX_S: Mapping[str, float] = {"btree": 0.012e-6, "gin": 0.15e-6, "gist": 0.1e-6}
OTHER_INDEX_S = 0.05e-6
FIXED_S = 2.0
TABLE_S = 0.004


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked.

    :param jobs: parts that are copied at the same time.
    :param databases: how many are followed between these servers at the same time.
    :param addresses: how each side is reached from the other, as address.seen() takes it.
    :param bin_dir: where psql and pg_dump are; None: the usual places.
    """

    role_map: RoleMap
    mode: str
    fence: bool
    jobs: int
    databases: int
    addresses: Mapping[str, Any]
    bin_dir: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Predicted seconds; ``longest`` is the table whose copy and indexes take longest."""

    copy_s: float
    index_s: float
    verify_s: float
    predicted_s: float
    longest: str
    longest_s: float


@dataclass(frozen=True, slots=True)
class Audit:
    source: Facts
    target: Facts | None
    findings: Sequence[Finding]
    plan: Plan

    def sizes(self) -> dict[str, int]:
        tables = self.source.catalog.tables.values()
        objects = self.source.catalog.objects.items()
        return {
            "bytes": self.source.server.size_bytes,
            "tables": len(tables),
            "rows_estimate": round(sum(max(table.reltuples, 0) for table in tables)),
            "large_objects": sum(
                int(properties["count"]) for key, properties in objects if key.kind == LARGE
            ),
        }

    def identity(self) -> dict[str, Any]:
        return {"system_identifier": self.source.identifier, "oid": self.source.server.oid}

    def rows(self) -> list[dict[str, str]]:
        return [each._asdict() for each in self.findings[:SHOWN]]

    def evidence(self) -> dict[str, Any]:
        counts = {"blocker": 0, "warning": 0, "note": 0}
        for each in self.findings:
            counts[each.severity] += 1
        return {
            "source_version": self.source.version,
            "target_version": self.target.version if self.target else None,
            "identity": self.identity(),
            "sizes": self.sizes(),
            "objects": self.source.catalog.counts(),
            "predicted_s": round(self.plan.predicted_s, 1),
            "findings": [f"{each.severity} {each.code}: {each.object}" for each in self.findings][
                :SHOWN
            ],
            "findings_count": len(self.findings),
            **{f"{severity}s": count for severity, count in counts.items()},
        }


LARGE = "large objects"

DATABASE = "SELECT FROM pg_database WHERE datname = %s"


def audit(source: Mapping[str, Any], target: Mapping[str, Any] | None, options: Options) -> Audit:
    """Return what both sides' facts mean for the migration."""
    with connect("source", source) as conn:
        source_facts = audit_facts.read_source(conn, options.mode)
    target_facts = _read_target(target, options.mode) if target else None
    tried = _attempts(source, source_facts, target, target_facts, options.addresses)
    question = Question(
        source_facts, target_facts, options.role_map, options.mode, options.fence,
        options.databases, *tried,
    )  # fmt: skip
    major = (target_facts or source_facts).version // 10000
    find(options.bin_dir, source_facts.version // 10000, major)
    plan = estimate(list(source_facts.catalog.tables.values()), source_facts.indexes, options.jobs)
    return Audit(source_facts, target_facts, audit_rules.findings(question), plan)


def _attempts(
    source: Mapping[str, Any],
    source_facts: Facts,
    target: Mapping[str, Any] | None,
    target_facts: Facts | None,
    addresses: Mapping[str, Any],
) -> tuple[Attempt | None, Attempt | None]:
    """Return how the target's connection to the source went, and the source's to the target."""
    if target is None or target_facts is None or target_facts.room is None:
        return None, None
    there = target["dbname"] if target_facts.database_exists else "postgres"
    to_source = _way(source, addresses.get("source"))
    to_target = _way({**target, "dbname": there}, addresses.get("target"))
    return (
        _attempt("target", target, target_facts, to_source),
        _attempt("source", source, source_facts, to_target),
    )


def _way(server: Mapping[str, Any], address: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return how the other server reaches ``server``, with the login that we have there."""
    login = Login(server["user"], server.get("password") or "", own=False)
    return seen(server, address, login)


def _attempt(
    side: str, server: Mapping[str, Any], facts: Facts, way: Mapping[str, Any]
) -> Attempt | None:
    if facts.room is None or facts.room.writable is None:
        return None
    with connect(side, {**server, "dbname": facts.room.writable}) as conn:
        return reach.attempt(conn, way)


def _read_target(target: Mapping[str, Any], mode: str) -> Facts:
    """Return the target's facts; without its database, what the server itself says."""
    dbname = target["dbname"]
    try:
        with connect("target", target) as conn:
            return audit_facts.read_target(conn, mode, dbname, exists=True)
    except PostgresError as error:
        if error.sqlstate or error.retryable or dbname == "postgres":
            raise
        if facts := _read_server(target, mode):
            return facts
        raise


def _read_server(target: Mapping[str, Any], mode: str) -> Facts | None:
    """Return the facts of a server that lets us in but has no such database; else None."""
    with suppress(PostgresError), connect("target", {**target, "dbname": "postgres"}) as conn:
        if not conn.execute(DATABASE, [target["dbname"]]).fetchone():
            return audit_facts.read_target(conn, mode, target["dbname"], exists=False)
    return None


def estimate(tables: Sequence[Table], indexes: Sequence[Index], jobs: int) -> Plan:
    """Return how long a copy and its verification take with ``jobs`` at once.

    Nothing is faster than its longest table, whose indexes come after its rows.
    """
    copies = {str(table): table.size_bytes * COPY_S for table in tables}
    builds: dict[str, list[float]] = {}
    for index in indexes:
        seconds = index.size_bytes * INDEX_S.get(index.amname, OTHER_INDEX_S)
        builds.setdefault(index.table, []).append(seconds)
    chains = {name: copies[name] + max(builds.get(name, [0.0])) for name in copies}
    longest = max(chains, key=lambda name: chains[name], default="")
    copy_s, index_s = sum(copies.values()), sum(map(sum, builds.values()))
    fixed_s = FIXED_S + TABLE_S * len(tables)
    verify_s = sum(table.size_bytes for table in tables) * VERIFY_S / jobs
    work_s = max((copy_s + index_s) / jobs, chains.get(longest, 0.0))
    return Plan(copy_s, index_s, verify_s, fixed_s + work_s, longest, chains.get(longest, 0.0))
