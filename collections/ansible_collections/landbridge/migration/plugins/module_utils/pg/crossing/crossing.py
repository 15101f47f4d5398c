# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The crossing: applications wait for a moment, and their database is elsewhere.

Look, do the next step (steps.py), look again, until the side that is asked for serves and the other
one follows it. A run that was killed has left nothing that looking does not find.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ...errors import LandbridgeError, NotConvergedError, PreconditionError
from ...waiting import Deadline, pauses
from ..finding import Finding
from ..follow import canary, link
from ..follow.ending import drop
from . import state, steps
from .prepare import prepare
from .request import Request
from .session import Session
from .stall import Stall, reopen
from .state import World
from .steps import Do, Flow, Step, other

# What is left after the opening is done in spite of errors that may heal, for so long.
FINISH_S = 60.0

# How long the side that was left may take to show the first write of its link.
FOLLOW_S = 60.0

# More steps than any state needs: the world changes under our hands.
MOST_STEPS = 16

HINTS = {
    "both sides let applications in": "Find out which one applications write to, and fence the"
    " other with pg_fence: what was written to both has to be merged by hand.",
    "both sides are fenced and no link tells which one served": "Open the side that served last"
    " with pg_fence, state open.",
    "the pooler leads to neither side": "Name in routes what the pooler calls the two servers.",
    "it does not follow the side that serves": "Let pg_follow copy and follow first; without a"
    " live way back, carry back what was accepted as a window migration does.",
}


@dataclass(slots=True)
class Done:
    """What a crossing did, or in check mode would do.

    :param timings: the stall's steps and the others', in the order they were done.
    """

    steps: list[Step] = field(default_factory=list)
    timings: list[dict[str, Any]] = field(default_factory=list)
    evidence: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.steps)

    def said(self) -> list[dict[str, str]]:
        """Return the steps as values."""
        return [{"step": each.do.value, "side": each.side, "why": each.why} for each in self.steps]

    def lines(self) -> list[str]:
        """Return the steps as a person reads them."""
        return [f"{each.do.value} {each.side}: {each.why}" for each in self.steps]


def cross(request: Request) -> Done:
    """Let ``request.goal`` serve and the other side follow it; return what was done.

    Raise PreconditionError if it cannot be crossed, with nothing changed. An error after the goal
    has opened says what is left; the next run does it.
    """
    with sessions(request) as pair:
        return Crossing(request, *pair).run()


@contextmanager
def sessions(request: Request) -> Iterator[tuple[Session, Session]]:
    """Yield a session of each side, closed when the block ends."""
    source, target = Session("source", request.source), Session("target", request.target)
    try:
        yield source, target
    finally:
        source.close()
        target.close()


class Crossing:
    """One run. Steps are named as in steps.py; each can be done again."""

    def __init__(self, request: Request, source: Session, target: Session) -> None:
        self.request = request
        self._sessions = {"source": source, "target": target}
        self.done = Done()
        self._opened = False

    def run(self) -> Done:
        if self.request.check_mode:
            return self._predict()
        deadline, between = Deadline(FINISH_S), pauses(0.1, 2.0)
        for _unused in range(MOST_STEPS):
            try:
                if not self._advance():
                    return self.done
            except LandbridgeError as error:
                if not (self._opened and error.retryable) or deadline.passed:
                    error.result = {**self._so_far(), **error.result}
                    raise
                self._reset()
                deadline.pause(next(between))
        raise NotConvergedError(
            f"{MOST_STEPS} steps did not end it; the last was {self.done.steps[-1].do.value}",
            hint="Something else changes fences, links or the pooler: end it, then run again.",
        )

    def _predict(self) -> Done:
        world = self._look()
        self.done.steps = steps.plan(world.state(self.request), self.request.goal)
        self._refuse_or_go(self.done.steps[-1])
        self.done.steps.pop()  # done
        return self.done

    def _advance(self) -> bool:
        """Do the next step; return whether another one may follow."""
        world = self._look()
        step = steps.next_step(world.state(self.request), self.request.goal)
        self._refuse_or_go(step)
        if step.do is Do.DONE:
            self.done.evidence |= self._standing(world)
            return False
        began = time.perf_counter()
        self.done.steps.append(step)
        goes_on = self._do(step, world)
        if step.do is not Do.CROSS:
            self.done.timings.append({"step": step.do.value, "ms": _ms(began)})
        return goes_on

    def _look(self) -> World:
        return state.read(self.request, self._sessions["source"], self._sessions["target"])

    def _refuse_or_go(self, step: Step) -> None:
        if step.do is Do.REFUSE:
            raise PreconditionError(
                f"{self.request.goal} cannot take over: {step.why}", hint=HINTS[step.why]
            )

    def _do(self, step: Step, world: World) -> bool:
        if step.do is Do.CROSS:
            return self._cross(world)
        if step.do is Do.REOPEN:
            reopen(self._sessions[step.side])
        elif step.do is Do.ROUTE:
            self._route(step.side)
        elif step.do is Do.FOLLOW:
            self._follow(step.side, world)
        elif step.do is Do.DROP:
            self._drop(step.side, world)
        return True

    def _cross(self, world: World) -> bool:
        goal = self.request.goal
        giver, taker = self._sessions[other(goal)], self._sessions[goal]
        self._require_pooler(goal)
        prepared = prepare(self.request, world, giver, taker)
        self.done.findings += prepared.findings
        stall = Stall(self.request, giver, taker, prepared, self.done.timings, self.done.evidence)
        if self.request.until == "fenced":
            stall.fence()
            self.done.evidence |= {"serves": None, "timings": self.done.timings}
            return False
        try:
            stall.cross()
        finally:
            self._opened = stall.opened
        return True

    def _require_pooler(self, goal: str) -> None:
        """Have all ready at the pooler. Raise PreconditionError if it cannot hold applications."""
        found = self.request.pooler.findings(self.request.dbname, self.request.limits.pause_s)
        if blockers := [each for each in found if each.severity == "blocker"]:
            raise PreconditionError(blockers[0].message, hint=blockers[0].remedy)
        self.done.findings += found
        self.request.pooler.prepare(self.request.dbname, *self.request.route(goal))

    def _route(self, side: str) -> None:
        pooler, dbname = self.request.pooler, self.request.dbname
        pooler.switch(dbname, *self.request.route(side))
        pooler.resume(dbname)
        pooler.settle(dbname)

    def _follow(self, side: str, world: World) -> None:
        """Set the link by which ``side`` follows to work, and see a write of it arrive."""
        publisher, subscriber = self._sessions[other(side)], self._sessions[side]
        for each in world.epochs(side):
            subscriber.do(lambda conn, each=each: link.enable(conn, each.link))  # type: ignore[misc]
            token = publisher.do(lambda conn, each=each: canary.beat(conn, each.link))  # type: ignore[misc]
            subscriber.do(
                lambda conn, each=each, token=token: canary.wait_arrived(  # type: ignore[misc]
                    conn, each.link, token, Deadline(FOLLOW_S)
                )
            )

    def _drop(self, side: str, world: World) -> None:
        """Drop the link by which ``side`` followed."""
        publisher, subscriber = self._sessions[other(side)], self._sessions[side]
        for each in world.epochs(side):
            publisher.do(lambda conn, each=each: drop(conn, subscriber.conn, each.link))  # type: ignore[misc]

    def _standing(self, world: World) -> dict[str, Any]:
        """Return what the last look shows."""
        idle = other(self.request.goal)
        follows = state.flow(world.epochs(idle))
        return {
            "serves": self.request.goal,
            "fenced": idle,
            "way_back": "following" if follows is Flow.FOLLOWING else "none",
            "route": _shown(world),
            "timings": self.done.timings,
        }

    def _so_far(self) -> dict[str, Any]:
        """Return what an error leaves to be known beside it."""
        evidence = {**self.done.evidence, "timings": self.done.timings}
        return {"changed": self.done.changed, "steps": self.done.said(), "evidence": evidence}

    def _reset(self) -> None:
        for session in self._sessions.values():
            session.reset()


def _shown(world: World) -> str | None:
    route = world.route
    return f"{route.host}:{route.port}/{route.dbname}" if route.host else None


def _ms(began: float) -> float:
    return round(1000 * (time.perf_counter() - began), 1)
