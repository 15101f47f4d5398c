# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is done to the links of a source's epochs: made, enabled, held still, dropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...waiting import Deadline, pauses, wait_for
from ..connection import translated
from ..finding import Finding
from . import address, applying, ending, link, reach, replication_role
from .identity import Name
from .link import Link
from .request import Request
from .sides import Sides

STILL_S = 60.0


@dataclass(frozen=True, slots=True)
class Links:
    """The links of one source; ``findings`` is added to."""

    sides: Sides
    request: Request
    findings: list[Finding] = field(default_factory=list)

    def subscribe(self, epoch: int, tables: Sequence[Name]) -> None:
        """Let an epoch's changes come. Its tables are there with their indexes."""
        made = self.sides.link(epoch)
        with translated("source"):
            login = replication_role.converge_present(self.sides.source, made, self.request.source)
        if (found := replication_role.finding(login)) and found not in self.findings:
            self.findings.append(found)
        publisher = address.seen(self.request.source, self.request.addresses.get("source"), login)
        with translated("target"):
            as_owner = applying.run_as_owner("target", self.sides.target, tables)
            link.subscribe("target", self.sides.target, made, publisher, run_as_owner=as_owner)

    def enable(self, links: Iterable[Link]) -> None:
        with translated("target"):
            for each in links:
                link.enable(self.sides.target, each)

    def still(self) -> None:
        """Stop all subscriptions and wait until none of their workers holds a lock."""
        if not self._disabled():
            return
        wait_for(
            self.sides.links,
            lambda states: not any(state.subscription and state.subscription.pid
                                   for state in states),
            what="the subscriptions' workers to end",
            deadline=Deadline(STILL_S),
            last_seen=lambda states: f"{len(states)} links",
            between=pauses(0.05, 1.0),
        )  # fmt: skip

    def stop(self) -> bool:
        """Stop all subscriptions; return whether one was not."""
        return self._disabled()

    def _disabled(self) -> bool:
        enabled = [state.link for state in self.sides.links() if state.enabled]
        with translated("target"):
            for each in enabled:
                link.disable(self.sides.target, each)
        return bool(enabled)

    def discard(self, links: Iterable[Link]) -> None:
        """Drop all that is there of links, on both sides."""
        for each in links:
            with translated("source or target"):
                ending.drop(self.sides.source, self.sides.target, each)


def check_reach(sides: Sides, request: Request) -> None:
    """Raise PreconditionError if the target's server does not reach the source's.

    After the copy would be late to hear of it.
    """
    password = str(request.source.get("password") or "")
    login = replication_role.Login(str(request.source["user"]), password, own=False)
    publisher = address.seen(request.source, request.addresses.get("source"), login)
    with translated("target"):
        tried = reach.attempt(sides.target, publisher)
    if tried.sqlstate is not None:
        raise link.unreached("target", publisher, tried.message, tried.sqlstate)


def names_of(tables: Iterable[tuple[str, Name]], oids: Iterable[str]) -> list[Name]:
    """Return the names of the tables with these OIDs."""
    wanted = set(oids)
    return sorted(name for oid, name in tables if oid in wanted)
