# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Before anyone waits: what could go wrong is looked for, and what can be made ready is.

It ends with a rehearsal: the canary flies once with all sequences. So the plans are cached, the
lag is known to be small, and the link is known to work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import PreconditionError
from .. import sequences
from ..fence import access
from ..fence.access import Access, plan_fenced, plan_open, script
from ..finding import Finding
from ..follow import canary
from ..follow.link import Link, between
from . import privileges, statements, way_back
from .refusals import told
from .request import Request
from .session import Session, both
from .state import World

if TYPE_CHECKING:
    from psycopg import sql

# What would make the fence fail; looked at before it stands.
IN_THE_WAY = """\
SELECT 'session of superuser ' || usename || ', pid ' || pid
  FROM pg_stat_activity JOIN pg_roles ON pg_roles.oid = usesysid
 WHERE datname = current_database() AND rolsuper
   AND backend_type IN ('client backend', 'walsender') AND pid <> pg_backend_pid()
   AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
UNION ALL
SELECT 'prepared transaction ' || gid
  FROM pg_prepared_xacts
 WHERE database = current_database()"""

# The migration's own role passes its fence, and so does whoever else connects as it.
AS_US = """\
SELECT format('pid %s, %s', pid, coalesce(nullif(application_name, ''), 'no application_name'))
  FROM pg_stat_activity
 WHERE datname = current_database() AND usename = current_user
   AND backend_type = 'client backend' AND application_name NOT LIKE 'landbridge%'"""

ROLES_KNOWN = "SELECT rolname FROM pg_roles"


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that the stall needs.

    :param links: by which the taker follows, one for each epoch.
    :param back: by which the giver will follow; None if it cannot.
    :param fence: statements; empty if the fence stands already.
    :param opening: statements, for the transaction that opens the taker.
    """

    links: Sequence[Link]
    back: Link | None
    tables: Sequence[tuple[str, str]]
    kept: Sequence[str]
    fence: str
    opening: str
    advance: str
    findings: Sequence[Finding]


def prepare(request: Request, world: World, giver: Session, taker: Session) -> Prepared:
    """Make everything ready. Raise PreconditionError, nothing changed, if it cannot be crossed."""
    epochs = world.epochs(taker.name)
    links = [each.link for each in epochs]
    _require_rights(world.seen(giver.name).access, world.seen(taker.name).access)
    _require_free(giver)
    findings = _others_as_us(giver)
    published = way_back.tables(giver, epochs)
    way_back.remove(giver, taker, world.epochs(giver.name))
    back, finding = _way_back(request, world, giver, taker, published)
    findings += [finding] if finding else []
    _ready(request, giver, taker, links)
    taker_access = taker.do(access.read)
    kept = _kept(request, world.seen(giver.name).access, links)
    return Prepared(
        links=links,
        back=back,
        tables=published,
        kept=kept,
        fence=_fence(giver, kept),
        opening=_opening(request, world.seen(giver.name).access, taker_access, taker),
        advance=_advance(giver, back),
        findings=findings,
    )


def _require_rights(*sides: Access) -> None:
    for found in sides:
        if not found.may_fence:
            raise PreconditionError(
                f"{found.me} may not fence {found.datname}: it belongs to {found.owner}",
                hint=f'GRANT "{found.owner}" TO "{found.me}";',
            )


def _require_free(giver: Session) -> None:
    """Raise PreconditionError if something is there that no fence can end."""
    ((*found,),) = giver.run(IN_THE_WAY)
    if found:
        raise PreconditionError(
            f"{giver.name}: the fence could not hold: {', '.join(what for (what,) in found[:5])}",
            hint="End these sessions; commit or roll back what is prepared. Then run again.",
        )


def _others_as_us(giver: Session) -> list[Finding]:
    ((*found,),) = giver.run(AS_US)
    return [
        Finding(
            "passes_the_fence",
            "warning",
            f"{giver.name} session, {what}",
            "it is connected as the migration's own role, which the fence lets through",
            "See that it writes nothing, or end it.",
        )
        for (what,) in found[:20]
    ]


def _way_back(
    request: Request,
    world: World,
    giver: Session,
    taker: Session,
    published: Sequence[tuple[str, str]],
) -> tuple[Link | None, Finding | None]:
    if not request.way_back:
        return None, None
    back = between(world.seen(taker.name).identity, world.seen(giver.name).identity)
    finding = way_back.make(request, giver, taker, back, published)
    if finding is not None and finding.code == "no_live_way_back":
        return None, finding
    return back, finding


def _ready(request: Request, giver: Session, taker: Session, links: Sequence[Link]) -> None:
    """Prepare both sessions' statements and rehearse them."""
    positions = both(lambda: giver.do(sequences.read), lambda: taker.do(sequences.read))
    wanted, found = (
        {n: p for n, p in each.items() if n.nspname != "landbridge"} for each in positions
    )
    sequences.plan(wanted, found)  # raises if one is missing
    names = sorted(wanted)
    version = giver.conn.info.server_version, taker.conn.info.server_version
    both(
        lambda: giver.run(statements.ready_giver(links, names, version[0])),
        lambda: taker.run(statements.ready_taker(names, version[1])),
    )
    token = canary.new_token()
    with told(request.limits):
        both(
            lambda: giver.run(statements.sing(links, token)),
            lambda: taker.run(statements.arrive(links, token, request.limits.drain_s)),
        )


def _kept(request: Request, found: Access, links: Sequence[Link]) -> list[str]:
    """Return who may connect through the giver's fence: we, and the links that are drained."""
    roles = {grant.grantee for grant in privileges.links_roles(found.grants)}
    drained = {each.role for each in links} & roles
    return sorted({found.me, *request.keep, *drained})


def _fence(giver: Session, kept: Sequence[str]) -> str:
    found = giver.do(access.read)
    changes = plan_fenced(found, kept)
    if found.record is not None and not changes:
        return ""
    comment = access.encode(privileges.kept_record(found))
    return _text(giver, script(found.datname, changes, comment))


def _opening(request: Request, giver: Access, taker: Access, session: Session) -> str:
    wanted = privileges.taken_over(request.goal, giver, taker, request.role_map)
    ((*known,),) = session.run(ROLES_KNOWN)
    roles = {name for (name,) in known}
    if missing := sorted({g.grantee for g in wanted.grants if g.grantee} - roles):
        raise PreconditionError(
            f"{session.name}: role {missing[0]} is missing, which may connect to the other side",
            hint="Create it, or name another for it in role_map (null: nobody).",
        )
    return _text(session, script(taker.datname, plan_open(wanted, taker), wanted.comment))


def _advance(giver: Session, back: Link | None) -> str:
    """Return what keeps the giver's own changes out of its way back, where origins cannot."""
    if back is None or giver.conn.info.server_version >= 160000:
        return ""
    return statements.advance(back.slot)


def _text(session: Session, composed: sql.Composed) -> str:
    return composed.as_string(session.conn)
