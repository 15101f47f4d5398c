# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end of a link, from whatever state it is in: its subscriber first, its role last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import link as links
from . import replication_role
from .link import Link

if TYPE_CHECKING:
    from psycopg import Connection


def drop(publisher: Connection, subscriber: Connection, link: Link) -> None:
    """Drop all of the link; run again, do nothing."""
    links.unsubscribe(subscriber, link)
    links.unpublish(publisher, link)
    replication_role.converge_absent(publisher, link)
