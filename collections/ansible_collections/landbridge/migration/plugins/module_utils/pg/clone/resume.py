# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take up a copy that was begun: is it of this source, and is what it has still right?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ...errors import PreconditionError
from ..connection import translated
from ..text import array_literal, json_literal, literal
from . import epochs
from .activity import LARGE_OBJECTS, Activity, changed
from .part import BATCH, COPY, Part
from .preconditions import Database
from .queue import Outcome, Record, assigned
from .request import Request

if TYPE_CHECKING:
    from psycopg import Connection

START_OVER = "Drop the target database, make it anew and run again."
FOREIGN_KEYS = "foreign_keys"


def check_source(record: Record, found: Database) -> None:
    """Raise PreconditionError if the target was copied from another database."""
    if dict(record.source) != found.identity():
        raise PreconditionError(
            f"target: it holds a copy of another database, {record.source['datname']}",
            hint="Name the target that belongs to this source.",
        )


def check_kind(record: Record, *, live: bool) -> None:
    """Raise PreconditionError if a copy of an open source is taken for one of a closed, or back."""
    if record.live != live:
        was = "an open source, which is followed" if record.live else "a source that was closed"
        raise PreconditionError(f"target: it holds a copy of {was}", hint=START_OVER)


def check_schema(record: Record, digest: str) -> None:
    """Raise PreconditionError if the source's schema is not what the copy began with."""
    if record.digest != digest:
        raise PreconditionError(
            "source: its schema was changed since this copy began",
            hint=START_OVER,
        )


def check_unwritten(record: Record, counts: Activity) -> None:
    """Raise PreconditionError if the source was written to since the copy was finished."""
    if written_to := changed(record.activity, counts):
        raise PreconditionError(
            f"source: {len(written_to)} tables were written to since this copy was finished",
            hint=f"Fence the source. {START_OVER}",
        )


def written(record: Record, counts: Activity) -> list[str]:
    """Return the OIDs of the tables that were written to since the copy began."""
    return changed(record.activity, counts)


def emptied(
    target: Connection, parts: Sequence[Part], done: Mapping[str, Outcome]
) -> Iterator[str]:
    """Yield the source's OIDs of unlogged tables that lost their rows: the target crashed."""
    expected = {
        str(table["oid"]): (table["target"], (done[part.id].tables or {}).get(str(table["oid"])))
        for part in parts
        if part.id in done
        for table in part.payload.get("tables", [part.payload])
        if table.get("unlogged")
    }
    counts = [
        f"SELECT {literal(oid)}, count(*) FROM ONLY {name}"  # noqa: S608 - quoted
        for oid, (name, rows) in expected.items()
    ]
    if counts:
        with translated("target"):
            for oid, count in target.execute(" UNION ALL ".join(counts).encode()):
                if count != expected[oid][1]:
                    yield oid


def undo(
    target: Connection,
    parts: Sequence[Part],
    done: Mapping[str, Outcome],
    written_to: Sequence[str],
    counts: Activity,
    request: Request,
) -> dict[str, Outcome]:
    """Return what is still done when the parts of ``written_to`` are not.

    Raise PreconditionError once foreign keys are in: their tables cannot be emptied any more.
    """
    again = [part for part in parts if part.id in done and set(_oids(part)) & set(written_to)]
    if again and FOREIGN_KEYS in done:
        raise PreconditionError(
            f"source: it was written to since this copy began, first {again[0].label}",
            hint=f"Fence the source. {START_OVER}",
        )
    if not request.check_mode:
        with translated("target"):
            target.execute(undo_text(again, counts).encode(errors="surrogateescape"))
    redone = {part.id for part in again}
    return {id_: outcome for id_, outcome in done.items() if id_ not in redone}


def next_epoch(
    target: Connection,
    parts: Sequence[Part],
    done: Mapping[str, Outcome],
    counts: Activity,
    request: Request,
) -> tuple[list[Part], dict[str, Outcome]]:
    """Return the parts, what is left of them in an epoch of its own, and what is still done.

    A table only some of whose parts are done is begun again: they would be of two snapshots.
    """
    epoch = epochs.following(parts, done)
    if not request.check_mode and epoch.own():
        text = undo_text(epoch.again, counts, assigned(epoch.own()))
        with translated("target"):
            target.execute(text.encode(errors="surrogateescape"))
    again = {part.id for part in epoch.again}
    return epoch.parts, {id_: outcome for id_, outcome in done.items() if id_ not in again}


def undo_text(again: Sequence[Part], counts: Activity, *more: str) -> str:
    """Return the transaction that takes parts back and remembers the counters of now."""
    ids = array_literal(part.id for part in again)
    statements = [
        "BEGIN",
        *(statement for part in again for statement in _emptied(part)),
        f"UPDATE landbridge.part SET finished = NULL, result = NULL WHERE id = ANY ({ids})",  # noqa: S608
        f"UPDATE landbridge.clone SET activity = {json_literal(counts)}",  # noqa: S608 - quoted
        *more,
        "COMMIT",
    ]
    return ";\n".join(statements)


def _oids(part: Part) -> Iterator[str]:
    """Yield the source's tables whose rows a part carries."""
    if part.kind == BATCH:
        yield from (str(table["oid"]) for table in part.payload["tables"])
    elif part.kind == COPY:
        yield str(part.payload["oid"]) if "oid" in part.payload else LARGE_OBJECTS


def _emptied(part: Part) -> Iterator[str]:
    """Yield what takes a part's rows away again."""
    if part.kind == BATCH:
        for table in part.payload["tables"]:
            if table["create"] is not None:  # what was made before is truncated by the copy
                yield f"DROP TABLE {table['target']}"
    else:
        yield from part.payload["undo"]
