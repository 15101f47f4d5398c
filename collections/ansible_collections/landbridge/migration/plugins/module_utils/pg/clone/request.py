# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a copy is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True, slots=True)
class Request:
    """What to copy, and how. ``snapshot`` holds one of the source: a slot's in live mode."""

    source: Mapping[str, Any]
    target: Mapping[str, Any]
    role_map: Mapping[str, str | None] = field(default_factory=dict)
    jobs: int = 2
    small_sessions: int | None = None
    bin_dir: str | None = None
    adopt: bool | Collection[str] = False
    check_mode: bool = False
    snapshot: Callable[[Connection], AbstractContextManager[str]] = exported
