# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Are two databases equal: every row, sequence, large object and object of their catalogs?

Each side reads its own tables, all sessions of a side on one snapshot, source and target at the
same time. Sums of digests (checksum.py) do not depend on the order of rows, so a side cuts its
tables where its pages lie; cutting by ranges of keys would read tables with random keys once for
every chunk, and compare texts in orders that differ between collations.
Only a table whose sums differ is read again, to name the rows (differing.py). Both sides must be
at rest; live.py is for a source that is written to.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ...errors import NotConvergedError
from .. import sequences
from ..catalog.catalog import dotted
from ..catalog.catalog_diff import RoleMap
from . import differing
from .checksum import Sum
from .opening import Pair, Server, Sides, on_both, opened, pairs
from .progress import VerifyProgress
from .side import LARGE_OBJECTS, large_objects
from .summing import Effort, Sums, sum_up
from .verdict import SequenceDifference, TableResult, Verdict

LOOKED_INTO = 20  # tables whose rows are named; with more than that it is not a matter of rows


@dataclass(frozen=True, slots=True)
class Options:
    """What to compare and how.

    :param jobs: sessions on each side.
    :param chunk_rows: about how many rows a statement reads.
    :param tables: ``schema.table`` of the tables whose rows are compared; empty: all.
    :param role_map: the target's names of the source's roles.
    :param lag_s: of live: how long the target may take to pass a position of the source.
    :param settle_s: of live: how long rows that are in flight are read again.
    """

    jobs: int
    chunk_rows: int
    tables: Sequence[str] = ()
    role_map: RoleMap = field(default_factory=dict)
    lag_s: float = 300
    settle_s: float = 30


def compare(source: Server, target: Server, options: Options, progress: VerifyProgress) -> Verdict:
    """Return what is equal and what is not.

    Raise PreconditionError if no table can be compared though the source has some.
    """
    started = time.monotonic()
    with opened(source, target, options.role_map) as both:
        sides = both.sides()
        compared = _with_large_objects(sides, pairs(sides, options.tables), options.tables)
        results, chunks = results_of(sides, compared, options, progress)
        results = _look_into(sides, compared, results, progress)
        count, moved = _compare_sequences(sides)
        objects = [each for each in results if each.name == dotted(LARGE_OBJECTS)]
        return Verdict(
            tables=[each for each in results if each not in objects],
            large_objects=objects[0] if objects else None,
            catalog_counts=sides[0].catalog.counts(),
            catalog=both.differences,
            sequences_compared=count,
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


def results_of(
    sides: Sides, compared: Sequence[Pair], effort: Effort, progress: VerifyProgress
) -> tuple[list[TableResult], int]:
    """Return the sums of each pair, and how many chunks were read for them."""
    sums, chunks = sum_up(sides, [pair.tables for pair in compared], effort, progress)
    return [_result(pair, sums) for pair in compared], chunks


def _result(pair: Pair, sums: Sums) -> TableResult:
    table = pair.tables[0]
    source, target = (sums[name].get(table.names, Sum()) for name in ("source", "target"))
    return TableResult(str(table), source, target, table.size_bytes, pair.derived)


def _with_large_objects(sides: Sides, found: list[Pair], wanted: Sequence[str]) -> list[Pair]:
    """Return ``found`` and the large objects, if there are any and no tables were asked for."""
    if wanted:
        return found
    objects = on_both(lambda name: large_objects(sides[name == "target"].conn))
    return [*found, Pair(objects, False)] if any(each.pages for each in objects) else found


def _look_into(
    sides: Sides, pairs: Sequence[Pair], results: Sequence[TableResult], progress: VerifyProgress
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
    source, target = on_both(lambda name: sequences.read(sides[name == "target"].conn))
    compared = [name for name in sorted(source.keys() & target.keys()) if name[0] != "landbridge"]
    moved = [
        SequenceDifference(name, source[name], target[name])
        for name in compared
        if source[name] != target[name]
    ]
    return len(compared), moved
