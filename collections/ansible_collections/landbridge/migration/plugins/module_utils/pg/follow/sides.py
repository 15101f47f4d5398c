# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Both ends of a source that is followed, and all that is there of it when a run looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import PostgresError, PreconditionError
from ..clone import epochs, queue
from ..clone.part import Part
from ..clone.queue import Outcome, Record
from ..connection import connect, translated
from . import link, observed
from .link import Link
from .observed import LinkState

if TYPE_CHECKING:
    from psycopg import Connection

# Held on the target for as long as a run lives; a killed one's goes as soon as that notices.
LOCK_WAIT_MS = 10_000
LOCK = """\
SET lock_timeout = {wait_ms};
SELECT pg_advisory_lock(1279410265, 1179602007);
SET lock_timeout = 0"""
LOCK_NOT_AVAILABLE = "55P03"

PUBLISHED = """\
SELECT pubname::text, array_agg(prrelid::text)
  FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid
 WHERE pubname ~ %s
 GROUP BY 1"""


@dataclass(frozen=True, slots=True)
class Found:
    """What is there: the copy, and links in both directions.

    :param whole: the tables all whose rows are in, by the epoch whose link brings what is written
        to them, as OIDs on the source.
    :param back: links from the target to the source, made when databases cross.
    """

    record: Record | None
    parts: list[Part]
    done: Mapping[str, Outcome]
    whole: Mapping[int, set[str]]
    links: list[LinkState]
    back: list[LinkState]

    def link(self, epoch: int) -> LinkState | None:
        return next((each for each in self.links if each.link.epoch == epoch), None)


@dataclass(frozen=True, slots=True)
class Sides:
    """A session on each side, and the digest that names their links."""

    source: Connection
    target: Connection
    digest: str
    digest_back: str

    def link(self, epoch: int) -> Link:
        return Link(self.digest, epoch)

    def links(self) -> list[LinkState]:
        """Return every epoch's link, oldest first."""
        return self._states()[0]

    def find(self) -> Found:
        with translated("target"):
            record = queue.read(self.target)
            parts, done = queue.load(self.target) if record else ([], {})
        with translated("source"):
            rows = self.source.execute(PUBLISHED, [link.NAMED]).fetchall()
        named = [(link.parse(name), set(oids)) for name, oids in rows]
        published = {
            each.epoch: oids for each, oids in named if each and each.digest == self.digest
        }
        links, back = self._states()
        whole = served(epochs.whole(parts, done), published)
        if not whole and record and record.live and record.finished:
            whole = {1: set()}  # a database without tables may get some, and is crossed like any
        return Found(record, parts, done, whole, links, back)

    def _states(self) -> tuple[list[LinkState], list[LinkState]]:
        with translated("source"):
            source = observed.read_side(self.source)
        with translated("target"):
            target = observed.read_side(self.target)
        return (
            observed.states(self.digest, source, target),
            observed.states(self.digest_back, target, source),
        )


def served(whole: Mapping[int, set[str]], published: Mapping[int, set[str]]) -> dict[int, set[str]]:
    """Return the tables of each epoch that has a link.

    Databases that crossed and came back are linked by one epoch, whatever they were copied in.
    """
    found: dict[int, set[str]] = {}
    for number, tables in whole.items():
        others = (epoch for epoch, oids in sorted(published.items()) if tables <= oids)
        by = number if number in published else next(others, number)
        found.setdefault(by, set()).update(tables)
    return found


@contextmanager
def opened(
    source: Mapping[str, Any], target: Mapping[str, Any], *, alone: bool = True
) -> Iterator[Sides]:
    """Connect both sides. Raise PreconditionError if another run works on them.

    :param alone: keep other runs away.
    """
    with ExitStack() as stack:

        def enter(side: str, server: Mapping[str, Any]) -> Connection:
            return stack.enter_context(connect(side, server))

        with ThreadPoolExecutor(2) as pool:  # two servers far away answer at the same time
            opening = [pool.submit(enter, "source", source), pool.submit(enter, "target", target)]
            conns = [each.result() for each in opening]
        if alone:
            _lock(conns[1])
        with translated("source"):
            publisher = link.identify(conns[0])
        with translated("target"):
            subscriber = link.identify(conns[1])
        there = link.between(publisher, subscriber).digest
        back = link.between(subscriber, publisher).digest
        yield Sides(conns[0], conns[1], there, back)


def _lock(target: Connection) -> None:
    try:
        with translated("target"):
            target.execute(LOCK.format(wait_ms=LOCK_WAIT_MS).encode())
    except PostgresError as exc:
        if exc.sqlstate != LOCK_NOT_AVAILABLE:
            raise
        raise PreconditionError(
            "target: another run of pg_follow works on this database",
            hint="Wait for it to end, or end it.",
        ) from exc
