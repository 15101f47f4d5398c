# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a verification found: in a sentence, and as evidence small enough to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..catalog.catalog_diff import Difference
from ..sequences import Name, Position
from .checksum import Sum
from .differing import Differing, RowDifference

SHOWN = 100
NAMED = 3  # in the sentence
VALUE_SHOWN = 60  # characters of a key's value


@dataclass(frozen=True, slots=True)
class TableResult:
    """A table's sums on both sides; ``differing`` is None if they are equal or not looked into.

    :param derived: a materialized view: its rows follow from others, so they only count as a note.
    :param settled: the rows that differed were read again: equal, or still written to.
    """

    name: str
    source: Sum
    target: Sum
    size_bytes: int
    derived: bool = False
    differing: Differing | None = None
    settled: bool = False

    @property
    def equal(self) -> bool:
        return self.settled or self.source == self.target


@dataclass(frozen=True, slots=True)
class SequenceDifference:
    name: Name
    source: Position
    target: Position


class Moving(NamedTuple):
    """A row that was written to whenever it was looked at.

    :param key: column and value of its key; empty for all such rows of a table without one.
    """

    table: str
    key: Mapping[str, str]
    rows: int = 1


class Skipped(NamedTuple):
    """Objects whose contents were not compared."""

    what: str
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a comparison under traffic found besides.

    :param moving: rows of which nothing can be said while they are written to.
    :param unsettled: tables with more rows in flight than were looked at, at every try.
    :param skipped: what is not compared while the target follows.
    :param reread: rows that were read again, in so many rounds.
    """

    moving: Sequence[Moving] = ()
    unsettled: Sequence[str] = ()
    skipped: Sequence[Skipped] = ()
    reread: int = 0
    rounds: int = 0
    settle_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything found. ``large_objects`` is None where there are none on either side.

    :param traffic: None if both sides were at rest.
    """

    tables: Sequence[TableResult]
    large_objects: TableResult | None
    catalog_counts: Mapping[str, int]
    catalog: Sequence[Difference]
    sequences_compared: int
    sequences: Sequence[SequenceDifference]
    chunks: int
    algorithm: str
    versions: tuple[int, int]
    elapsed_s: float
    traffic: Traffic | None = None

    @property
    def differing(self) -> list[TableResult]:
        unsettled = self.traffic.unsettled if self.traffic else ()
        found = [each for each in self.tables if not each.equal and not each.derived]
        return [each for each in found if each.name not in unsettled]

    @property
    def differences(self) -> list[Difference]:
        return [each for each in self.catalog if not each.note]

    @property
    def equal(self) -> bool:
        objects = self.large_objects is None or self.large_objects.equal
        settled = self.traffic is None or not self.traffic.unsettled
        return objects and settled and not (self.differing or self.differences or self.sequences)

    def sentence(self) -> str:
        """Return what differs, the first few by name."""
        parts = [
            _count("table", [_table_sentence(each) for each in self.differing]),
            _count("object", [str(each) for each in self.differences]),
            _count("sequence", [_sequence_sentence(each) for each in self.sequences]),
        ]
        unsettled = list(self.traffic.unsettled) if self.traffic else []
        if unsettled and not any(parts):
            return f"Too many rows are in flight to compare {_count('table', unsettled)}."
        if self.large_objects and not self.large_objects.equal:
            parts.append(f"large objects differ: {_table_sentence(self.large_objects)}")
        return f"Source and target differ: {'; '.join(part for part in parts if part)}."

    def evidence(self) -> dict[str, Any]:
        """Return the proof: figures, and the first of what differs."""
        compared = sum(each.source.rows for each in self.tables)
        size_bytes = sum(each.size_bytes for each in self.tables)
        notes = [str(each) for each in self.catalog if each.note]
        notes += [
            f"materialized view {each.name} holds other rows: refreshed at another time"
            for each in self.tables
            if each.derived and not each.equal
        ]
        return {
            "equal": self.equal,
            "algorithm": self.algorithm,
            "source_version": self.versions[0],
            "target_version": self.versions[1],
            "tables_compared": len(self.tables),
            "rows": compared,
            "bytes": size_bytes,
            "chunks": self.chunks,
            "differing": _shown_tables(self.differing),
            "differing_count": len(self.differing),
            "catalog": {
                "objects": dict(self.catalog_counts),
                "differences": [str(each) for each in self.differences[:SHOWN]],
                "differences_count": len(self.differences),
                "notes": notes[:SHOWN],
                "notes_count": len(notes),
            },
            "sequences": {
                "compared": self.sequences_compared,
                "differing": [_sequence_sentence(each) for each in self.sequences[:SHOWN]],
                "differing_count": len(self.sequences),
            },
            "large_objects": _shown_large_objects(self.large_objects),
            "live": _shown_traffic(self.traffic),
            "elapsed_s": round(self.elapsed_s, 3),
            "bytes_per_s": round(size_bytes / max(self.elapsed_s, 0.001)),
        }


def _count(noun: str, sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    plural = "s" if len(sentences) > 1 else ""
    more = f" and {len(sentences) - NAMED} more" if len(sentences) > NAMED else ""
    return f"{len(sentences)} {noun}{plural}: {'; '.join(sentences[:NAMED])}{more}"


def _table_sentence(table: TableResult) -> str:
    text = table.name
    if table.source.rows != table.target.rows:
        text += f" has {table.source.rows} rows on the source and {table.target.rows} on the target"
    if table.differing and table.differing.rows:
        rows = table.differing.rows
        least = "" if table.differing.complete else "at least "
        first = ", ".join(_row_sentence(row) for row in rows[:NAMED])
        text += f" ({least}{len(rows)} differ, first {first})"
    return text


def _row_sentence(row: RowDifference) -> str:
    return str(RowDifference({name: _cut(value) for name, value in row.key.items()}, *row[1:]))


def _sequence_sentence(each: SequenceDifference) -> str:
    return f"{each.name} is at {_position(each.source)}, on the target at {_position(each.target)}"


def _position(position: Position) -> str:
    return f"{position.last_value}{'' if position.is_called else ' (not called)'}"


def _cut(value: str) -> str:
    return value if len(value) <= VALUE_SHOWN else f"{value[:VALUE_SHOWN]}…"


def _shown_tables(tables: Sequence[TableResult]) -> list[dict[str, Any]]:
    """Return the first tables, with as many rows of them as fit in all."""
    left = SHOWN
    shown = []
    for table in tables[:SHOWN]:
        rows = table.differing.rows[:left] if table.differing else []
        left -= len(rows)
        shown.append(
            {
                "table": table.name,
                "source_rows": table.source.rows,
                "target_rows": table.target.rows,
                "rows": [_row_sentence(row) for row in rows],
                "rows_count": len(table.differing.rows) if table.differing else None,
                "rows_complete": bool(table.differing and table.differing.complete),
            }
        )
    return shown


def _shown_traffic(found: Traffic | None) -> dict[str, Any]:
    traffic = found or Traffic()
    return {
        "compared": found is not None,
        "moving": [each._asdict() for each in traffic.moving[:SHOWN]],
        "moving_count": sum(each.rows for each in traffic.moving),
        "unsettled": list(traffic.unsettled[:SHOWN]),
        "unsettled_count": len(traffic.unsettled),
        "skipped": [each._asdict() for each in traffic.skipped],
        "reread": traffic.reread,
        "rounds": traffic.rounds,
        "settle_s": round(traffic.settle_s, 3),
    }


def _shown_large_objects(found: TableResult | None) -> dict[str, Any]:
    if found is None:
        return {"compared": 0, "differing": [], "differing_count": 0}
    rows = found.differing.rows if found.differing else []
    return {
        "compared": found.source.rows,
        "differing": [_row_sentence(row) for row in rows[:SHOWN]],
        "differing_count": len(rows),
    }
