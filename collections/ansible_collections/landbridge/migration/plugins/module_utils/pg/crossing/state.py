# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is seen of a crossing: both databases' fences and links, and where the pooler leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...pooler.pooler import Route
from ..fence import access
from ..fence.access import NEVER_OPENED, Access
from ..follow import link, observed
from ..follow.observed import LinkState, Side
from .request import Request
from .session import Session, both
from .steps import NO_POOLER, SIDES, Flow, SideState, State, other

if TYPE_CHECKING:
    from psycopg import Connection


@dataclass(frozen=True, slots=True)
class Seen:
    """What one database shows."""

    identity: str
    access: Access
    links: Side


@dataclass(frozen=True, slots=True)
class World:
    """Both databases and the pooler, as read.

    >>> world.epochs("target")  # the links by which the target follows, oldest first
    """

    source: Seen
    target: Seen
    route: Route

    def seen(self, side: str) -> Seen:
        return self.source if side == "source" else self.target

    def digest(self, side: str) -> str:
        """Return the digest of the link by which ``side`` follows the other."""
        return link.between(self.seen(other(side)).identity, self.seen(side).identity).digest

    def epochs(self, side: str) -> list[LinkState]:
        """Return the links by which ``side`` follows the other."""
        return observed.states(
            self.digest(side), self.seen(other(side)).links, self.seen(side).links
        )

    def state(self, request: Request) -> State:
        """Return what decides the next step."""
        source, target = (_side(self.seen(name).access, self.epochs(name)) for name in SIDES)
        return State(source, target, _led_to(self.route, request), self.route.paused)


def read(request: Request, source: Session, target: Session) -> World:
    """Return what is now so; both databases are asked at the same time."""
    found = both(lambda: source.do(_look), lambda: target.do(_look))
    return World(*found, request.pooler.read(request.dbname))


def _look(conn: Connection) -> Seen:
    return Seen(link.identify(conn), access.read(conn), observed.read_side(conn))


def _side(found: Access, epochs: Sequence[LinkState]) -> SideState:
    record = found.record
    return SideState(
        open=record is None,
        never_opened=record is not None and record.note == NEVER_OPENED,
        follows=flow(epochs),
    )


def flow(epochs: Sequence[LinkState]) -> Flow:
    """Return what the epochs of one direction amount to."""
    if not epochs:
        return Flow.ABSENT
    if all(each.following for each in epochs):
        return Flow.FOLLOWING
    if all(_ready(each) for each in epochs):
        return Flow.READY
    return Flow.PARTIAL


def _ready(found: LinkState) -> bool:
    serves = found.slot is not None and not found.slot.lost
    return found.publication and serves and found.subscription is not None and not found.enabled


def _led_to(route: Route, request: Request) -> str | None:
    if not route.host:
        return NO_POOLER
    for side in SIDES:
        if route.leads_to(*request.route(side)):
            return side
    return None
