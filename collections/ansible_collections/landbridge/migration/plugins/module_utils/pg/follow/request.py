# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a source is to be followed for, and what comes of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..clone import request as clone_request
from ..clone.request import Held, Live

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What to follow, and how.

    :param addresses: how each server reaches the other, where not as this machine does.
    :param insert_only: tables whose rows are never changed or deleted, as ``schema.table``.
    :param lag_bytes: the most that may be still to come when following is said to be steady.
    :param lag_s: the longest that a write may take to arrive then.
    :param timeout_s: how long to wait for a slot, and for the lag to be small.
    :param skip_lsn: the transaction to leave out that cannot be applied, by its finish position.
    """

    source: Mapping[str, Any]
    target: Mapping[str, Any]
    addresses: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    role_map: Mapping[str, str | None] = field(default_factory=dict)
    jobs: int = 2
    small_sessions: int | None = None
    bin_dir: str | None = None
    adopt: bool | Collection[str] = False
    insert_only: Collection[str] = ()
    lag_bytes: int = 16 * MB
    lag_s: float = 1.0
    timeout_s: float = 3600.0
    skip_lsn: str | None = None
    check_mode: bool = False

    def copy(self, snapshot: Held, live: Live) -> clone_request.Request:
        """Return the request for the copy, whose snapshot and progress are followed."""
        return clone_request.Request(
            self.source, self.target, self.role_map, self.jobs, self.small_sessions, self.bin_dir,
            self.adopt, self.check_mode, snapshot, live,
        )  # fmt: skip
