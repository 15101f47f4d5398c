# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Remove all that following needs, on both sides; a database's own things are as they were.

The target's rows stay. The copy's record goes with the rest: nothing brings what the source writes
from now on, so nobody may take them for the source's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import NotConvergedError
from ...waiting import Deadline
from ..connection import translated
from ..fence import marks
from . import identity
from .links import Links
from .sides import Found, Sides

if TYPE_CHECKING:
    from psycopg import Connection

IDENTITY_WAIT_S = 300.0


def left(found: Found, sides: Sides) -> list[str]:
    """Return what there is to remove, in words."""
    words = [each.link.name for each in [*found.links, *found.back]]
    for side, conn in (("source", sides.source), ("target", sides.target)):
        with translated(side):
            words += [f"{side}: replica identity of {each.name}" for each in identity.recall(conn)]
            if _has_marks(side, conn, found):
                words.append(f"{side}: schema landbridge")
    return words


def remove(links: Links, found: Found) -> None:
    """Remove everything that is ours, whatever there is. Raise NotConvergedError if some stays."""
    sides = links.sides
    links.discard(each.link for each in found.links)
    turned = Links(_turned(sides), links.request)
    turned.discard(each.link for each in found.back)
    for side, conn in (("source", sides.source), ("target", sides.target)):
        with translated(side):
            identity.restore(conn, Deadline(IDENTITY_WAIT_S))
            if _has_marks(side, conn, found):
                conn.execute(marks.DROP)
    if stays := left(sides.find(), sides):
        raise NotConvergedError(f"{stays[0]} is there again after it was removed")


def _turned(sides: Sides) -> Sides:
    """Return the sides for the way back, whose publisher is the target."""
    return Sides(sides.target, sides.source, sides.digest_back, sides.digest)


def _has_marks(side: str, conn: Connection, found: Found) -> bool:
    """Tell if a database has a schema of ours that goes with the links.

    A target whose copy is of a closed source keeps its record: that is pg_clone's.
    """
    kept = side == "target" and found.record is not None and not found.record.live
    return not kept and marks.read(conn)
