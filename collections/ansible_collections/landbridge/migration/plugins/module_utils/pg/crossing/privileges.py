# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who may connect to a side once it is opened; pure.

The roles of links come and go with them: they are in no record of what was before a fence, and
what they may do now stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..fence.access import CROSSED, Access, Grant, Record, admitting, mapped
from ..follow.link import parse


def links_roles(grants: Iterable[Grant]) -> frozenset[Grant]:
    """Return the grants to roles of links."""
    return frozenset(grant for grant in grants if grant.grantee and parse(grant.grantee))


def before(access: Access) -> Record:
    """Return what holds without a fence, links' roles left out."""
    record = access.before
    return replace(record, grants=record.grants - links_roles(record.grants))


def kept_record(access: Access) -> Record:
    """Return the record of a fence that is put up now, or of the one that stands."""
    record = before(access)
    return record if access.record else replace(record, since=access.read_at, note=CROSSED)


def reopened(access: Access) -> Record:
    """Return what a side gets that is opened again as it was."""
    record = before(access)
    return replace(record, grants=record.grants | links_roles(access.grants))


def taken_over(
    goal: str, giver: Access, taker: Access, role_map: Mapping[str, str | None]
) -> Record:
    """Return what the taker gets: the source its own again, the target what the source had."""
    if goal == "source":
        return reopened(taker)
    record = admitting(mapped(before(giver), role_map), taker.me)
    return replace(record, grants=record.grants | links_roles(taker.grants))
