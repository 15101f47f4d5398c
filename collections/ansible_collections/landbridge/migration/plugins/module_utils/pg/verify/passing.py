# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wait until a target that follows has everything that the source has committed by now.

The slot's confirmed_flush_lsn lags behind by half a second, and an origin's progress is a
superuser's to read. But a subscription's worker, which applies what it gets in order, notes the
position that a keepalive told it of (latest_end_lsn, worker.c): all before it has been applied. A
message of ours in the source's log, behind what has been committed, makes the sender go beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import PreconditionError
from ...waiting import Deadline, pauses, wait_for
from ..connection import connect, translated

if TYPE_CHECKING:
    from psycopg import Connection

# Subscriptions of the target to the source's database, known by their slots there.
SLOTS = """\
SELECT slot_name::text
  FROM pg_replication_slots
 WHERE database = current_database() AND slot_type = 'logical'"""

SUBSCRIPTIONS = """\
SELECT s.subname::text, s.subenabled, min(w.latest_end_lsn)::text,
       min(w.latest_end_lsn) >= %(lsn)s::pg_lsn
  FROM pg_subscription s
  LEFT JOIN pg_stat_subscription w ON w.subid = s.oid AND w.relid IS NULL
 WHERE s.subslotname = ANY (%(slots)s)
   AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
 GROUP BY s.oid, 1, 2
 ORDER BY 1"""

# Transactional, so that it is flushed; its commit follows it, so its position is passed.
EMIT = "SELECT pg_logical_emit_message(true, 'landbridge', 'passed')::text"


class Following(NamedTuple):
    """A subscription; ``passed`` is None while no worker has told of a position."""

    subname: str
    enabled: bool
    latest_end_lsn: str | None
    passed: bool | None


@contextmanager
def following(
    source: Mapping[str, Any], target: Mapping[str, Any], timeout_s: float
) -> Iterator[Callable[[], None]]:
    """Yield what waits until the target has passed, on sessions of its own; see by_position."""
    with connect("source", source) as source_conn, connect("target", target) as target_conn:
        yield by_position(source_conn, target_conn, timeout_s)


def by_position(source: Connection, target: Connection, timeout_s: float) -> Callable[[], None]:
    """Return what waits until all subscriptions of ``target`` to ``source`` have passed.

    :param source: a session in no transaction, as is ``target``.

    Raise PreconditionError if there is no subscription.
    """
    with translated("source"):
        slots = [name for (name,) in source.execute(SLOTS)]

    def read(lsn: str) -> list[Following]:
        with translated("target"):
            rows = target.execute(SUBSCRIPTIONS, {"lsn": lsn, "slots": slots})
            return [Following(*row) for row in rows]

    def passed() -> None:
        with translated("source"):
            ((lsn,),) = source.execute(EMIT)
        wait_for(
            lambda: _enabled(read(lsn)),
            lambda found: all(each.passed for each in found),
            what=f"the target to pass the source's position {lsn}",
            deadline=Deadline(timeout_s),
            last_seen=_told,
            between=pauses(0.005, 0.2),
        )

    _enabled(read("0/0"))
    return passed


def _enabled(found: list[Following]) -> list[Following]:
    if not found:
        raise PreconditionError(
            "target: it has no subscription to the source, so it does not follow it.",
            hint="Make it follow with pg_follow, or leave live out if nothing writes.",
        )
    if off := [each.subname for each in found if not each.enabled]:
        raise PreconditionError(
            f"target: subscription {off[0]} is disabled, so it does not follow.",
            hint="See why in the target's log or pg_stat_subscription_stats, then enable it.",
        )
    return found


def _told(found: list[Following]) -> str:
    return ", ".join(f"{each.subname} at {each.latest_end_lsn or 'none'}" for each in found)
