# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What live mode needs of a server: logical WAL, rights, and room for slots and workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .live_sql import ROOM

if TYPE_CHECKING:
    from psycopg import Connection


class Room(NamedTuple):
    """A server's settings and how much of each is taken by others than Landbridge.

    :param slot_keep_bytes: max_slot_wal_keep_size; None: without limit, or before 13.
    :param idle_slot_timeout_s: idle_replication_slot_timeout; None before 18.
    :param xid_age: of the oldest row version of the database.
    :param strange: publications, subscriptions and slots that bear a name of ours and are not
        ours, such as ``slot landbridge_3f2a9c01b7d4_1``; another database's slots are among them.
    :param writable: a database in which we may create, the one connected to if it is such.
    """

    wal_level: str
    max_slots: int
    slots: int
    max_senders: int
    senders: int
    max_origins: int
    subscriptions: int
    max_apply_workers: int
    max_worker_processes: int
    may_replicate: bool
    may_create: bool
    slot_keep_bytes: int | None
    idle_slot_timeout_s: int | None
    xid_age: int
    writable: str | None
    strange: Sequence[str] = ()


def read(conn: Connection) -> Room:
    """Return the server's room for following."""
    return Room(*next(iter(conn.execute(ROOM))))
