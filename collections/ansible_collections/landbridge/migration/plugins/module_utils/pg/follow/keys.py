# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Foreign keys of a copy with several epochs: validated once the epochs are level.

Within one link transactions arrive whole, so its tables always fit each other. Two links are
each at a position of its own: a row may be there before the one that it refers to. After a common
barrier they are level for a moment, which is enough on a source that is not written to much; what
is left is validated when the databases have crossed and nothing comes any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..clone import epochs, queue
from ..clone.findings import Finding
from ..clone.lay_down import first_line
from ..clone.part import Part
from ..clone.queue import Outcome

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

DIRTY = "23503"
MESSAGE = "its rows do not all have what they refer to"
LATER = "It is tried again by the next run, and after the crossing; for new rows it holds."
REPAIR = "They do not on the source either. Repair them, then VALIDATE."


def pending(parts: Sequence[Part], done: Mapping[str, Outcome]) -> list[Part]:
    """Return the parts that validate keys and are not done."""
    later = epochs.deferred(parts)
    return [part for part in parts if part.id in later and part.id not in done]


def left(target: Connection) -> int:
    """Return how many keys are to be validated."""
    if queue.read(target) is None:
        return 0
    return sum(len(part.payload["statements"]) for part in pending(*queue.load(target)))


def validate(target: Connection, *, crossed: bool) -> list[Finding]:
    """Validate what keys are left. Return those that could not be.

    :param crossed: nothing is applied any more, so a key that is dirty now is so for good.
    """
    if queue.read(target) is None:
        return []
    findings: list[Finding] = []
    for part in pending(*queue.load(target)):
        dirty = [each for each in part.payload["statements"] if not _validated(target, each)]
        findings += [_finding(statement, crossed=crossed) for statement in dirty]
        if not dirty:
            target.execute(queue.finish(part.id, Outcome()).encode())
    return findings


def _validated(target: Connection, statement: str) -> bool:
    """Tell if every row of the key has what it refers to, and then hold it for valid."""
    try:
        target.execute(statement.encode(errors="surrogateescape"))
    except psycopg.Error as exc:
        if exc.sqlstate != DIRTY:
            raise
        return False
    return True


def _finding(statement: str, *, crossed: bool) -> Finding:
    name = first_line(statement)
    if crossed:
        return Finding("foreign_key_dirty", name, MESSAGE, REPAIR)
    return Finding("foreign_key_pending", name, MESSAGE, LATER, "note")
