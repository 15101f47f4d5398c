# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a copy is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from psycopg import Connection

SNAPSHOT = """\
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT pg_export_snapshot()"""


@contextmanager
def exported(source: Connection) -> Iterator[str]:
    """Hold a snapshot of the source for as long as the block runs."""
    cursor = source.execute(SNAPSHOT.encode())
    cursor.nextset()
    ((snapshot,),) = cursor
    yield str(snapshot)


# What holds a snapshot, given the source's session that is to be in its transaction.
Held: TypeAlias = Callable[["Connection"], AbstractContextManager[str]]


class Live(Protocol):
    """What follows a source that stays open; a copy tells it how far it is."""

    def quiet(self) -> None:
        """Stop applying what earlier epochs follow: locks on many tables at once come next."""

    def done(self, part_id: str) -> None:
        """Hear that a part is done; called by the worker that did it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to copy, and how.

    :param snapshot: holds a snapshot of the source for as long as the copy needs it.
    :param live: given if the source stays open. Every table is then copied under the snapshot of
        the slot that brings what comes after it; what replication does not carry is as of then.
    """

    source: Mapping[str, Any]
    target: Mapping[str, Any]
    role_map: Mapping[str, str | None] = field(default_factory=dict)
    jobs: int = 2
    small_sessions: int | None = None
    bin_dir: str | None = None
    adopt: bool | Collection[str] = False
    check_mode: bool = False
    snapshot: Held = exported
    live: Live | None = None
