# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An epoch of a copy: its tables are published, a slot is made, and the copy is of its snapshot.

The snapshot that a slot exports lasts as long as its replication session does nothing else. So
the copy's own session takes it over and exports it anew: what dies then is one and the same.
Earlier epochs, whose sessions are gone, keep the tables that were finished, and follow as soon as
those have their indexes: until then their slots hold back the source's log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from ...errors import PreconditionError
from ...waiting import Deadline
from ..clone import epochs
from ..clone.progress import Progress
from ..clone.request import exported
from ..connection import translated
from ..text import literal
from . import fingerprint, identity, link, publication, steps
from .identity import Name, Table
from .link import Link
from .links import Links, names_of
from .sides import Found

if TYPE_CHECKING:
    from psycopg import Connection

TAKE_OVER = """\
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET TRANSACTION SNAPSHOT {snapshot};
SELECT pg_export_snapshot()"""

IDENTITY_WAIT_S = 300.0


class Epoch:
    """What pg/clone asks for a source that stays open: a snapshot, and to be told of parts."""

    def __init__(self, links: Links, progress: Progress) -> None:
        self._links = links
        self._progress = progress
        self._lock = Lock()
        self._awaited: dict[int, set[str]] = {}  # parts that earlier epochs' tables lack
        self._tables: dict[int, list[Name]] = {}
        self._still = False

    @contextmanager
    def snapshot(self, source: Connection) -> Iterator[str]:
        """Hold the snapshot of a new epoch; of none if all rows are in."""
        found = self._links.sides.find()
        with translated("source"):
            tables = identity.read(self._links.sides.source)
        self._links.discard(steps.leftovers(found))
        self._take_up(found, tables)
        epoch = epochs.following(found.parts, found.done)
        if found.record and not epoch.oids():  # all that is left is what no log brings
            with exported(source) as name:
                yield name
            return
        if found.record:
            tables = [table for table in tables if str(table.oid) in epoch.oids()]
        yield self._begin(self._links.sides.link(epoch.number), tables, source)

    def quiet(self) -> None:
        with self._lock:
            if not self._still:
                self._still = True
                self._links.still()

    def done(self, part_id: str) -> None:
        with self._lock:
            for awaited in self._awaited.values():
                awaited.discard(part_id)
            self._follow_complete()

    def _take_up(self, found: Found, tables: Sequence[Table]) -> None:
        """Leave earlier epochs with the tables that they finished."""
        named = [(str(table.oid), table.name) for table in tables]
        for number, oids in found.whole.items():
            self._tables[number] = names_of(named, oids)
            with translated("source"):
                made = self._links.sides.link(number)
                publication.keep(self._links.sides.source, made, self._tables[number])
            state = found.link(number)
            if state is None or state.subscription is None:
                self._awaited[number] = epochs.awaited(found.parts, oids) - found.done.keys()
            elif not state.enabled:
                self._links.enable([made])
        with self._lock:
            self._follow_complete()

    def _follow_complete(self) -> None:
        """Subscribe to the epochs whose tables lack nothing any more."""
        for number in [number for number, parts in self._awaited.items() if not parts]:
            if not self._still:  # else it is done when the copy has ended
                self._links.subscribe(number, self._tables[number])
            del self._awaited[number]

    def _begin(self, made: Link, tables: Sequence[Table], source: Connection) -> str:
        """Publish tables, make the slot and return its snapshot, held by ``source``."""
        request, conn = self._links.request, self._links.sides.source
        with translated("source"):
            identity.converge(conn, identity.plan(tables), Deadline(IDENTITY_WAIT_S))
            link.publish(conn, made, [table.name for table in tables])
        self._progress.say("progress", phase="slot", message="waiting for open transactions")
        with link.make_slot("source", request.source, made, Deadline(request.timeout_s)) as slot:
            name = _taken_over(source, slot.snapshot)
        published = {table.oid for table in tables}
        there = {table.oid: table.name for table in identity.read(source)}
        if made.epoch == epochs.FIRST and (differ := published ^ there.keys()):
            names = {table.oid: table.name for table in tables} | there
            raise PreconditionError(
                f"source: {names[min(differ)]} was made or dropped while the copy began",
                retryable=True,
                hint="Run it again when the schema is at rest.",
            )
        self._remember(made, source)
        return name

    def _remember(self, made: Link, source: Connection) -> None:
        """Keep how the source is defined in its snapshot: what changes since is told by that."""
        with translated("source"):
            taken = fingerprint.take(source)
        with translated("target"):
            fingerprint.keep(self._links.sides.target, made, taken)


def _taken_over(source: Connection, snapshot: str) -> str:
    """Return another session's snapshot as this one's own."""
    cursor = source.execute(TAKE_OVER.format(snapshot=literal(snapshot)).encode())
    while cursor.nextset():
        pass
    ((name,),) = cursor
    return str(name)
