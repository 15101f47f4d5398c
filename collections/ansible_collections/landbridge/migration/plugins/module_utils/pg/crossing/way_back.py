# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way back, made before anyone waits: a link from the taker to the giver, not yet at work.

Its subscription is made disabled: what could be in its way (rights, network, certificates) shows
now, and after the crossing one quick statement sets it to work. What came from the giver is not
sent back to it (origin=none), or the slot is advanced past it where versions do not know that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import PreconditionError
from ..finding import Finding
from ..follow import address, applying, link, replication_role
from ..follow.ending import drop
from ..follow.link import SCHEMA, Link
from ..follow.observed import LinkState
from ..text import array_literal, qualified
from .session import Session

if TYPE_CHECKING:
    from psycopg import Connection

    from .request import Request

TABLES = """\
SELECT DISTINCT nspname, relname
  FROM pg_publication_rel
       JOIN pg_publication ON pg_publication.oid = prpubid
       JOIN pg_class ON pg_class.oid = prrelid
       JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE pubname = ANY ({names}) AND nspname <> '{schema}'
 ORDER BY 1, 2"""

# Tables by which a row to change cannot be told; updates of them fail once they are published.
IDENTITIES = """\
WITH wanted AS (
  SELECT format('%%I.%%I', nsp, rel)::regclass AS oid
    FROM unnest(%s::text[], %s::text[]) AS named (nsp, rel)
), leaves AS (
  SELECT oid FROM wanted
  UNION
  SELECT relid FROM wanted, pg_partition_tree(wanted.oid)
)
SELECT nspname, relname, relreplident = 'f' AS is_full,
       relreplident = 'f' OR EXISTS (
         SELECT FROM pg_index
          WHERE indrelid = pg_class.oid AND indisvalid
            AND CASE relreplident WHEN 'd' THEN indisprimary ELSE indisreplident END) AS is_known
  FROM leaves
       JOIN pg_class ON pg_class.oid = leaves.oid
       JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE relkind = 'r'
 ORDER BY 1, 2"""


def tables(giver: Session, epochs: Sequence[LinkState]) -> list[tuple[str, str]]:
    """Return what the links publish, canaries left out."""
    names = array_literal(each.link.publication for each in epochs)
    ((*found,),) = giver.run(TABLES.format(names=names, schema=SCHEMA))
    return [(str(nspname), str(relname)) for nspname, relname in found]


def make(
    request: Request,
    giver: Session,
    taker: Session,
    back: Link,
    published: Sequence[tuple[str, str]],
) -> Finding | None:
    """Make the link ``back``, new; return why there can be none, or None if there is.

    Raise PreconditionError if something is in its way that can be put right.
    """
    if (why := giver.do(applying.refusal)) is not None:
        return _none(giver, why)
    with_identity(giver, taker, published)
    taker.do(lambda conn: link.publish(conn, back, published))
    login = taker.do(lambda conn: replication_role.converge_present(conn, back, taker.server))
    taker.do(lambda conn: link.reserve(conn, back))
    as_owner = giver.do(lambda conn: applying.run_as_owner(giver.name, conn, published))
    way = address.seen(taker.server, request.address(taker.name), login)
    giver.do(
        lambda conn: link.subscribe(
            giver.name, conn, back, way, run_as_owner=as_owner, enabled=False
        )
    )
    return replication_role.finding(login)


def remove(giver: Session, taker: Session, epochs: Sequence[LinkState]) -> None:
    """Drop what an earlier run left of the link from taker to giver."""
    for each in epochs:
        taker.do(lambda conn, each=each: drop(conn, giver.conn, each.link))  # type: ignore[misc]


def with_identity(giver: Session, taker: Session, published: Sequence[tuple[str, str]]) -> None:
    """Give the taker's tables the replica identity of the giver's where they lack one."""
    names = [list(each) for each in zip(*published, strict=True)] or [[], []]

    def read(conn: Connection) -> list[tuple[str, str, bool, bool]]:
        return conn.execute(IDENTITIES, names).fetchall()

    lacking = [(nsp, rel) for nsp, rel, _full, known in taker.do(read) if not known]
    if not lacking:
        return
    full = {(nsp, rel) for nsp, rel, is_full, _known in giver.do(read) if is_full}
    for each in lacking:
        if each not in full:
            raise PreconditionError(
                f"{taker.name}: {'.'.join(each)} has no key by which a changed row could be told",
                hint=f"ALTER TABLE {qualified(*each)} REPLICA IDENTITY FULL on both sides.",
            )
    taker.run(
        "; ".join(f"ALTER TABLE {qualified(*each)} REPLICA IDENTITY FULL" for each in lacking)
    )


def _none(giver: Session, why: str) -> Finding:
    return Finding(
        "no_live_way_back",
        "warning",
        f"{giver.name} database",
        f"its server does not let this role subscribe: {why}",
        "Back then means a window, in which what the target accepted is carried back as a copy.",
    )
