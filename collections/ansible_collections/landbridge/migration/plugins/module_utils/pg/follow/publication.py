# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which tables an epoch publishes: each by itself, partitions and not their parents.

The target has the same partitions, so a row goes from leaf to leaf: nothing is routed again, a
leaf can be of another epoch than its sisters, and both sides' sums are of the same table.
Published through its root (publish_via_partition_root), a tree is all of one epoch, and its rows
are routed on the target by values that the source may have let in by other rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..text import ident, qualified
from .identity import Name
from .link import SCHEMA, Link

if TYPE_CHECKING:
    from psycopg import Connection

READ = """\
SELECT nspname::text, relname::text
  FROM pg_publication_rel
  JOIN pg_publication p ON p.oid = prpubid
  JOIN pg_class c ON c.oid = prrelid
  JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE pubname = %s AND nspname <> 'landbridge'"""


def read(conn: Connection, link: Link) -> set[Name]:
    """Return the tables that a link publishes, its canary excepted."""
    return {Name(*row) for row in conn.execute(READ, [link.publication])}


def keep(conn: Connection, link: Link, tables: Sequence[Name]) -> None:
    """Publish only ``tables`` from now on: the others follow in a later epoch.

    What was logged of the others before is still sent, and left out by the subscriber, which
    knows only the tables that were published when it was made.
    """
    if read(conn, link) == set(tables):
        return
    listed = [qualified(*each) for each in [*tables, (SCHEMA, link.canary)]]
    name = ident(link.publication)
    conn.execute(f"ALTER PUBLICATION {name} SET TABLE ONLY {', ONLY '.join(listed)}".encode())
