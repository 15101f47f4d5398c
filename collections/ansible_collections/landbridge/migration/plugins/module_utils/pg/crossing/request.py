# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a crossing is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psycopg import Connection

    from ...pooler.pooler import Pooler

GOALS = {"forward": "target", "back": "source"}

# Compares what changed last on both sides: (source, target, tables, budget_ms) to evidence.
Delta = Callable[["Connection", "Connection", Sequence[tuple[str, str]], int], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long things may take before the crossing is given up.

    :param pause_s: until the transactions under way have ended.
    :param drain_s: until the last write is on the other side, from the fence on.
    :param delta_ms: for comparing what changed last; 0: nothing is compared.
    """

    pause_s: float = 5.0
    drain_s: float = 10.0
    delta_ms: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """Who is to serve, and how to get there.

    :param goal: ``source`` or ``target``.
    :param role_map: the target's names of the source's roles.
    :param addresses: of a side's server, how the other server reaches it, where that differs.
    :param routes: of a side, what the pooler calls it, where that differs: host, port, dbname.
    :param dbname: the name that applications ask the pooler for.
    :param keep: roles that may connect to the fenced side.
    :param way_back: whether the side that is left follows the one that serves then.
    :param until: ``fenced`` stops with both sides fenced.
    """

    goal: str
    source: Mapping[str, Any]
    target: Mapping[str, Any]
    pooler: Pooler
    dbname: str
    role_map: Mapping[str, str | None] = field(default_factory=dict)
    addresses: Mapping[str, Any] = field(default_factory=dict)
    routes: Mapping[str, Any] = field(default_factory=dict)
    keep: Collection[str] = ()
    limits: Limits = field(default_factory=Limits)
    delta: Delta | None = None
    way_back: bool = True
    until: str = "done"
    check_mode: bool = False

    def server(self, side: str) -> Mapping[str, Any]:
        return self.source if side == "source" else self.target

    def address(self, side: str) -> Mapping[str, Any] | None:
        """Return how the other side's server reaches ``side``, if not as we do."""
        return self.addresses.get(side)

    def route(self, side: str) -> tuple[str, int, str]:
        """Return what the pooler calls ``side``: host, port and database."""
        server, said = self.server(side), self.routes.get(side) or {}
        host, port, dbname = ((said.get(k) or server[k]) for k in ("host", "port", "dbname"))
        return str(host), int(port), str(dbname)
