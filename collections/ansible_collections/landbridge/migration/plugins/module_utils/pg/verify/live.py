# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Are two databases equal while the source is written to and the target follows?

The source's snapshot is taken first, then the target's as soon as it has passed the source's
position. So the target's has all that the source's has, and more: what was written in between. A
table whose sums agree is equal. In one whose sums do not, the rows that differ were in flight or
are wrong; which it is, settling.py decides from reading them again.

While one waits for the target no lock is held: an application's TRUNCATE would wait for it, the
subscription behind it, and so would what is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

from ...waiting import Deadline
from ..catalog.catalog import Catalog, Key, Table
from ..catalog.catalog_diff import Difference
from ..connection import translated
from . import differing, in_flight, passing, rereading
from .differing import Differing, Look
from .opening import Names, Opened, Pair, Server, Sides, opened, pairs
from .progress import VerifyProgress
from .rereading import Candidates, Passed, Settled
from .verdict import Moving, Skipped, TableResult, Traffic, Verdict
from .verify import Options, results_of

# Given both servers and the seconds a target may take, what waits until it has passed the source.
Following: TypeAlias = Callable[[Server, Server, float], AbstractContextManager[Passed]]

# How much is held in memory: rows of a table among which are those that differ, and keys of all
# rows that do. What is beyond is tried again with other snapshots, when the lag may be less.
LOOK = Look(50_000, 50_000, columns=False)
CANDIDATES = 200_000
SNAPSHOTS = 3

NOT_REPLICATED = "logical replication does not carry them"
SKIPPED = {
    "sequence": "they are set to the source's positions at the crossing",
    "materialized view": "they are refreshed, not replicated",
    "unlogged table": NOT_REPLICATED,
    "large object": NOT_REPLICATED,
}


@dataclass(slots=True)
class _Progress:
    """What is known so far, by table; a later look replaces an earlier one."""

    results: dict[Names, TableResult] = field(default_factory=dict)
    moving: dict[Names, list[Moving]] = field(default_factory=dict)
    unsettled: list[Pair] = field(default_factory=list)
    chunks: int = 0
    reread: int = 0
    rounds: int = 0
    settle_s: float = 0.0


def compare(
    source: Server,
    target: Server,
    options: Options,
    progress: VerifyProgress,
    following: Following = passing.following,
) -> Verdict:
    """Return what is equal and what is not, of what the target follows.

    Raise PreconditionError if the target does not follow, or nothing can be compared. Raise
    DeadlineError if it does not pass the source's position in time.
    """
    started = time.monotonic()
    with (
        following(source, target, options.lag_s) as passed,
        opened(source, target, options.role_map) as both,
    ):
        known = _Progress()
        sides, horizons = _snapshots(both, passed)
        left = pairs(sides, options.tables, skipped=[*_uncompared(both)])
        for attempt in range(SNAPSHOTS):
            if attempt:
                sides, horizons = _snapshots(both, passed)
            _look(_Look(sides, horizons, passed), left, options, known, progress)
            left = known.unsettled
            if not left:
                break
        return Verdict(
            tables=[each for _names, each in sorted(known.results.items())],
            large_objects=None,
            catalog_counts=sides[0].catalog.counts(),
            catalog=as_followed(both.differences),
            sequences_compared=0,
            sequences=[],
            chunks=known.chunks,
            algorithm=sides[0].dialect.algorithm,
            versions=(sides[0].catalog.version, sides[1].catalog.version),
            elapsed_s=time.monotonic() - started,
            traffic=_traffic(known, both),
        )


def as_followed(differences: Iterable[Difference]) -> list[Difference]:
    """Return ``differences``, those that following itself makes as notes.

    A table without a key gets a replica identity on the source; large objects are not carried.
    """
    return [
        replace(each, note=True)
        if each.finding == "replica identity" or _of_large_objects(each)
        else each
        for each in differences
    ]


def _of_large_objects(difference: Difference) -> bool:
    comment = difference.kind == "comment" and difference.object.startswith('"large object".')
    return comment or difference.kind == "large objects"


class _Look(NamedTuple):
    """A pair of snapshots; ``horizons``: see in_flight.find."""

    sides: Sides
    horizons: tuple[in_flight.Horizon, in_flight.Horizon]
    passed: Passed


def _snapshots(both: Opened, passed: Passed) -> tuple[Sides, tuple[str, str]]:
    with translated("target"):
        before = in_flight.horizon(both.conns["target"])
    source = both.side("source")
    with translated("source"):
        since = in_flight.horizon(source.conn)
    passed()
    return (source, both.side("target")), (since, before)


def _look(
    look: _Look,
    left: Sequence[Pair],
    options: Options,
    known: _Progress,
    progress: VerifyProgress,
) -> None:
    """Compare the tables ``left`` in one pair of snapshots, and settle the rows that differ."""
    results, chunks = results_of(look.sides, left, options, progress)
    candidates, incomplete = _candidates(look, left, results, progress)
    for side in look.sides:
        side.end()
    started = time.monotonic()
    settled = rereading.settle(
        look.sides, candidates, look.passed, Deadline(options.settle_s), progress
    )
    known.settle_s += time.monotonic() - started
    known.chunks += chunks
    known.reread += settled.rows
    known.rounds += settled.rounds
    known.unsettled = []
    for pair, result in zip(left, results, strict=True):
        names = pair.tables[0].names
        known.results[names] = _judged(result, settled, names, complete=names not in incomplete)
        known.moving[names] = _moving(pair.tables[0], settled.moving.get(names, ()))
        if names in incomplete and names not in settled.differing:
            known.unsettled.append(pair)


def _candidates(
    look: _Look,
    left: Sequence[Pair],
    results: Sequence[TableResult],
    progress: VerifyProgress,
) -> tuple[list[Candidates], set[Names]]:
    """Return the rows that differ of each table, and the tables of which there are more."""
    found = []
    incomplete = set()
    room = CANDIDATES
    for pair, result in zip(left, results, strict=True):
        table = pair.tables[0]
        if result.equal:
            continue
        if room <= 0:
            incomplete.add(table.names)
            continue
        progress.doing("search", f"for what was written to in {result.name}")
        keys = in_flight.find(look.sides, table, result, look.horizons)
        if keys is None:
            most_rows = max(result.source.rows, result.target.rows)
            examined = differing.examine(look.sides, table, most_rows, LOOK)
            keys = examined.keys()
            if not examined.complete:
                incomplete.add(table.names)
        found.append(Candidates(table, keys))
        room -= len(keys)
    return found, incomplete


def _judged(result: TableResult, settled: Settled, names: Names, *, complete: bool) -> TableResult:
    if rows := settled.differing.get(names):
        return replace(result, differing=Differing(rows, complete))
    return replace(result, settled=complete)


def _moving(table: Table, keys: Sequence[rereading.Key]) -> list[Moving]:
    if not table.key:
        return [Moving(str(table), {}, len(keys))] if keys else []
    return [Moving(str(table), dict(zip(table.key, key, strict=True))) for key in keys]


def _uncompared(both: Opened) -> Iterable[Names]:
    """Yield the tables whose rows are not replicated."""
    for found in both.found:
        yield from (
            names
            for names, table in found.catalog.tables.items()
            if table.relkind == "m" or _unlogged(found.catalog, names)
        )


def _unlogged(catalog: Catalog, names: Names) -> bool:
    return catalog.objects.get(Key("table", names), {}).get("persistence") == "u"


def _traffic(known: _Progress, both: Opened) -> Traffic:
    catalog = both.found[0].catalog
    counts = catalog.counts()
    counts["unlogged table"] = sum(_unlogged(catalog, names) for names in catalog.tables)
    counts["large object"] = sum(
        int(properties["count"])
        for key, properties in catalog.objects.items()
        if key.kind == "large objects"
    )
    return Traffic(
        moving=[each for rows in known.moving.values() for each in rows],
        unsettled=[str(pair.tables[0]) for pair in known.unsettled],
        skipped=[
            Skipped(what, counts[what], reason)
            for what, reason in SKIPPED.items()
            if counts.get(what)
        ],
        reread=known.reread,
        rounds=known.rounds,
        settle_s=known.settle_s,
    )
