# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done while applications wait, and how it is undone.

    pause      the pooler holds new transactions           undone by resuming it
    barrier    the giver is fenced, its last write is      undone by opening the giver again
               on the taker, and so are its sequences
    delta      what changed last is compared
    take over  following stops as the taker opens          never undone: it serves from here on
    switch     the pooler leads to the taker
    resume     those that waited go on

A session that is lost while the taker opens leaves open whether it did. Then it is looked at; and
if it cannot be, the giver stays fenced: better nobody serves for a moment than both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...errors import LandbridgeError, NotConvergedError
from ...waiting import Deadline, retry
from ..fence import access
from ..fence.access import apply, plan_open
from ..follow import canary
from . import privileges, statements
from .prepare import Prepared
from .refusals import told
from .request import Request
from .session import Rows, Session, both

T = TypeVar("T")

# How long a lost side is asked again before a crossing that went wrong is left as it is.
LOOK_S = 15.0


@dataclass(slots=True)
class Stall:
    """One crossing's stall and what is measured of it."""

    request: Request
    giver: Session
    taker: Session
    prepared: Prepared
    steps: list[dict[str, Any]] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    opening: bool = False
    opened: bool = False

    def cross(self) -> None:
        """Do it all, or undo it all and raise what went wrong.

        Once ``opened``, an error leaves things as they are: what is left is done by looking.
        """
        began = time.perf_counter()
        with self._timed("pause"):
            self.request.pooler.pause(self.request.dbname, self.request.limits.pause_s)
        try:
            self._barrier()
            self._delta()
            self._take_over()
        except BaseException:
            if not self._has_opened():
                self._undo()
                raise
        self.opened = True
        self._lead()
        self.evidence["stall_ms"] = _ms(began)
        self.request.pooler.settle(self.request.dbname)

    def fence(self) -> None:
        """Fence the giver and end its sessions, and no more."""
        try:
            with self._timed("fence"), told(self.request.limits):
                self.giver.run(
                    statements.fenced(
                        self.prepared.fence, self.prepared.kept, self.request.limits.drain_s
                    )
                )
        except BaseException:
            self._undo()
            raise

    def _barrier(self) -> None:
        limits, links, token = self.request.limits, self.prepared.links, canary.new_token()
        leave = statements.leave(
            self.prepared.fence, self.prepared.kept, links, token, limits.drain_s
        )
        # The taker's wait begins with the fence, so it has the fence's time as well.
        arrive = statements.arrive(links, token, 2 * limits.drain_s)
        with self._timed("barrier"), told(limits):
            left, arrived = both(
                lambda: self._or_cancel(leave, self.giver, self.taker),
                lambda: self._or_cancel(arrive, self.taker, self.giver),
            )
        ((expelled, lsn),) = left[-1]
        self._require_positions(arrived)
        self.evidence |= {"sessions_terminated": expelled, "canary_lsn": lsn}
        if self.prepared.advance:
            with self._timed("advance"):
                self.taker.run(self.prepared.advance)

    def _or_cancel(self, script: str, mine: Session, others: Session) -> list[Rows]:
        """Run ``script``; if it fails, the other side need not wait for it any longer."""
        try:
            return mine.run(script)
        except LandbridgeError:
            others.cancel()
            raise

    def _require_positions(self, arrived: list[Rows]) -> None:
        ((_count,),), ((payload,),), found = arrived
        wanted = {(nsp, rel): (value, called) for nsp, rel, value, called in payload}
        is_now = {(nsp, rel): (value, called) for nsp, rel, value, called in found}
        if left := sorted(name for name, at in wanted.items() if is_now.get(name) != at):
            raise NotConvergedError(
                f"{self.taker.name}: {len(left)} sequences are not as sent, first"
                f" {'.'.join(left[0])}",
                hint="Something writes to that side: find it, then run again.",
            )
        self.evidence["sequences_set"] = len(wanted)

    def _delta(self) -> None:
        compare = self.request.delta
        if compare is None or self.request.limits.delta_ms <= 0:
            return
        with self._timed("delta"):
            self.evidence["delta"] = dict(
                compare(
                    self.giver.conn,
                    self.taker.conn,
                    self.prepared.tables,
                    self.request.limits.delta_ms,
                )
            )

    def _take_over(self) -> None:
        with self._timed("take_over"):
            self.opening = True
            self.taker.run(statements.take_over(self.prepared.links, self.prepared.opening))

    def _lead(self) -> None:
        pooler, dbname = self.request.pooler, self.request.dbname
        with self._timed("switch"):
            pooler.switch(dbname, *self.request.route(self.taker.name))
        with self._timed("resume"):
            pooler.resume(dbname)

    def _has_opened(self) -> bool:
        """Tell if the taker has opened. Raise PostgresError if that cannot be told."""
        if not self.opening:
            return False
        self.taker.reset()
        found = _patiently(lambda: self.taker.do(access.read))
        return found.record is None

    def _undo(self) -> None:
        """Let the giver serve as before; whoever waited goes on."""
        with self._timed("undo"):
            for each in (self.giver, self.taker):
                each.reset()
            _patiently(lambda: reopen(self.giver))
            self.request.pooler.resume(self.request.dbname)
        self.request.pooler.settle(self.request.dbname)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.steps.append({"step": step, "ms": _ms(began)})


def reopen(session: Session) -> None:
    """Give a side back what its fence took."""

    def opened(conn: Any) -> Mapping[str, Any]:
        found = access.read(conn)
        wanted = privileges.reopened(found)
        changes = plan_open(wanted, found)
        if changes or found.record is not None:
            apply(conn, changes, wanted.comment)
        return access.standing(access.read(conn).record)

    if session.do(opened)["fenced"]:
        raise NotConvergedError(f"{session.name}: the fence stands still after it was opened")


def _patiently(call: Callable[[], T]) -> T:
    return retry(call, deadline=Deadline(LOOK_S))


def _ms(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 1)
