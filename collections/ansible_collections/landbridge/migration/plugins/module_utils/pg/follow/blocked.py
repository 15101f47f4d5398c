# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A subscription that an error stops again and again: what is known of it, and how it goes on.

Which row it is, and why, is found by conflict.py; here it becomes an error with its way out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import NotConvergedError, PreconditionError
from ..connection import translated
from . import applied, conflict
from .conflict import Conflict
from .link import Link
from .sides import Sides

if TYPE_CHECKING:
    from psycopg import Connection

COUNTED = 150000
COUNTERS = "SELECT to_jsonb(s) FROM pg_stat_subscription_stats s WHERE subname = %s"

REPAIR = """\
Repair the target so that it fits (a row in the way, a constraint), and run pg_follow again; or\
 leave the whole transaction out with skip_lsn: {lsn}."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """What holds a subscription up.

    :param counters: what the subscriber counted: errors, and from version 18 on each conflict.
    """

    subscription: str
    conflict: Conflict
    counters: Mapping[str, int] = field(default_factory=dict)

    def evidence(self) -> dict[str, Any]:
        return {
            "subscription": self.subscription,
            "change": self.conflict.change,
            "error": self.conflict.error,
            "lsn": self.conflict.final_lsn,
            "counters": dict(self.counters),
        }


def read(sides: Sides, link: Link) -> Blocked | None:
    """Return what the next transaction of a subscription without a worker fails at, if it does.

    None if it can be applied, or if a worker is at it again: nobody else can look at its slot.
    """
    with translated("target"):
        found = conflict.find(sides.source, sides.target, link.subscription)
        return Blocked(link.subscription, found, _counters(sides.target, link)) if found else None


def error(blocked: Blocked) -> NotConvergedError:
    """Return the error of a subscription that does not follow any more."""
    return NotConvergedError(
        f"target: subscription {blocked.subscription} is stopped by {blocked.conflict}",
        hint=REPAIR.format(lsn=blocked.conflict.final_lsn),
        result={"evidence": {"blocked": blocked.evidence()}},
    )


def skip(sides: Sides, links: Iterable[Link], lsn: str) -> None:
    """Leave out the transaction that ends at ``lsn`` where a subscription is stopped by it.

    Raise PreconditionError if none is.
    """
    stopped = [each for each in (read(sides, link) for link in links) if each]
    due = [each for each in stopped if each.conflict.final_lsn == lsn]
    if not due:
        at = ", ".join(f"{each.conflict.final_lsn} by {each.conflict}" for each in stopped)
        raise PreconditionError(
            f"target: no subscription is stopped at {lsn}" + (f", but at {at}" if at else ""),
            hint="Look at the change that is next before it is left out; if none is shown, a"
            " worker is at it again: try in some seconds.",
            retryable=not stopped,
        )
    with translated("target"):
        for each in due:
            applied.skip(sides.target, each.subscription, lsn)


def _counters(target: Connection, link: Link) -> dict[str, int]:
    if target.info.server_version < COUNTED:
        return {}
    row = target.execute(COUNTERS, [link.subscription]).fetchone()
    found = row[0] if row else {}
    return {name: count for name, count in found.items() if isinstance(count, int) and count}
