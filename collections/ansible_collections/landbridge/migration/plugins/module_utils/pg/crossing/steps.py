# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which step comes next: a pure function of what is seen, so that a killed run is no special case.

One side serves, the other follows it. A crossing has one moment that decides: the transaction that
opens the side that takes over. Before it the other side serves, fenced for a moment or not; after
it there is no way but on. Who serves is therefore seen from the two fences and, while both stand,
from the link that is at work: its publisher served last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

SIDES = ("source", "target")

NO_POOLER = "no pooler"  # as a route: applications are where hooks lead them


class Flow(Enum):
    """What is there of the link by which a side follows the other."""

    ABSENT = "absent"
    READY = "ready"  # all of it, its subscription disabled
    FOLLOWING = "following"
    PARTIAL = "partial"  # some of it, or a slot that has lost what it would send


@dataclass(frozen=True, slots=True)
class SideState:
    """A side as it is seen.

    :param open: it stands unfenced.
    :param never_opened: its fence says that nobody was let in since it was made.
    :param follows: the link whose subscriber it is.
    """

    open: bool
    never_opened: bool
    follows: Flow


@dataclass(frozen=True, slots=True)
class State:
    """Both sides and the pooler.

    :param route: the side that the pooler leads to, or ``NO_POOLER``; None if it leads elsewhere.
    """

    source: SideState
    target: SideState
    route: str | None
    paused: bool

    def side(self, name: str) -> SideState:
        return self.source if name == "source" else self.target

    def having(self, name: str, **changes: object) -> State:
        """Return the state with another ``name`` side."""
        changed = replace(self.side(name), **changes)  # type: ignore[arg-type]
        return replace(self, source=changed) if name == "source" else replace(self, target=changed)


class Do(Enum):
    """A step. ``CROSS`` is all from the pause to the resume, undone as a whole if it fails."""

    REFUSE = "refuse"
    REOPEN = "reopen"
    ROUTE = "route"
    FOLLOW = "follow"
    DROP = "drop"
    CROSS = "cross"
    DONE = "done"


class Step(NamedTuple):
    """What to do, on which side: the one opened, routed to, following or crossed to."""

    do: Do
    side: str
    why: str


def other(name: str) -> str:
    return "target" if name == "source" else "source"


def serving(state: State) -> str | None:
    """Return the side that serves, or served last while both are fenced; None if none can tell."""
    if state.source.open != state.target.open:
        return "source" if state.source.open else "target"
    followers = [name for name in SIDES if state.side(name).follows is Flow.FOLLOWING]
    if state.source.open or len(followers) != 1:
        return None
    return other(followers[0])


class View(NamedTuple):
    """A state in the words of the rules: ``serves`` and ``idle`` are the two sides."""

    state: State
    goal: str
    serves: str
    idle: str

    @property
    def at_goal(self) -> bool:
        return self.serves == self.goal

    @property
    def open(self) -> bool:
        return self.state.side(self.serves).open

    @property
    def routed(self) -> bool:
        return self.state.route in (self.serves, NO_POOLER) and not self.state.paused

    @property
    def idle_follows(self) -> Flow:
        return self.state.side(self.idle).follows

    @property
    def served_before(self) -> bool:
        """Whether the idle side was ever let in: else its link is a copy's in the making."""
        return not self.state.side(self.idle).never_opened

    @property
    def remains(self) -> bool:
        """Whether the serving side still has something of a link by which it followed."""
        return self.state.side(self.serves).follows is not Flow.ABSENT


class Rule(NamedTuple):
    """The first rule that holds says what is done, on the goal's side or another."""

    why: str
    holds: Callable[[View], bool]
    do: Do
    on: Callable[[View], str] = lambda view: view.goal


RULES = (
    Rule(
        "it stands fenced since a crossing away from it was begun and not finished",
        lambda view: view.at_goal and not view.open,
        Do.REOPEN,
    ),
    Rule(
        "it serves, and the pooler holds applications or leads them elsewhere",
        lambda view: view.open and not view.routed,
        Do.ROUTE,
        lambda view: view.serves,
    ),
    Rule(
        "the other side has taken over, and its link is ready and not at work",
        lambda view: view.open and view.served_before and view.idle_follows is Flow.READY,
        Do.FOLLOW,
        lambda view: view.idle,
    ),
    Rule(
        "it serves, and something is left of the link by which it followed",
        lambda view: view.open and view.remains,
        Do.DROP,
        lambda view: view.serves,
    ),
    Rule("it serves", lambda view: view.at_goal, Do.DONE),
    Rule(
        "it does not follow the side that serves",
        lambda view: view.idle_follows is not Flow.FOLLOWING,
        Do.REFUSE,
    ),
    Rule("it follows the side that serves", lambda view: True, Do.CROSS),
)


def next_step(state: State, goal: str) -> Step:
    """Return what to do next so that ``goal`` serves and the other side follows it."""
    if state.source.open and state.target.open:
        return Step(Do.REFUSE, goal, "both sides let applications in")
    if (serves := serving(state)) is None:
        return Step(Do.REFUSE, goal, "both sides are fenced and no link tells which one served")
    if state.route is None:
        return Step(Do.REFUSE, goal, "the pooler leads to neither side")
    view = View(state, goal, serves, other(serves))
    rule = next(rule for rule in RULES if rule.holds(view))
    return Step(rule.do, rule.on(view), rule.why)


def _crossed(state: State, goal: str) -> State:
    leaving = other(goal)
    # It ends with what followed stopped, and its way back ready.
    done = state.having(goal, open=True, never_opened=False, follows=Flow.READY)
    done = done.having(leaving, open=False, never_opened=False, follows=Flow.READY)
    return replace(done, route=goal if state.route != NO_POOLER else NO_POOLER, paused=False)


AFTER: Mapping[Do, Callable[[State, str], State]] = {
    Do.REOPEN: lambda state, side: state.having(side, open=True),
    Do.ROUTE: lambda state, side: replace(state, route=side, paused=False),
    Do.FOLLOW: lambda state, side: state.having(side, follows=Flow.FOLLOWING),
    Do.DROP: lambda state, side: state.having(side, follows=Flow.ABSENT),
    Do.CROSS: _crossed,
}


def plan(state: State, goal: str) -> list[Step]:
    """Return the steps from ``state`` on, supposing that each does what it should."""
    steps = [next_step(state, goal)]
    while (step := steps[-1]).do in AFTER:
        state = AFTER[step.do](state, step.side)
        steps.append(next_step(state, goal))
    return steps
