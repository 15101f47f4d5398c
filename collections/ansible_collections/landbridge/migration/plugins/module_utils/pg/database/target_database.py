# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A target's database made ready for the copy: the database like the source's, its extensions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import NotConvergedError
from ..connection import connect
from ..finding import Finding
from . import database, extensions
from .database import Change, Database, Give, Open
from .extensions import Available, Extension, Rights

if TYPE_CHECKING:
    from psycopg import Connection

PLPGSQL = "plpgsql"  # is in every database from its making


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the target must hold, and what the source has."""

    database: Database
    extensions: Mapping[str, Extension]
    role_map: Mapping[str, str | None]


class Offer(NamedTuple):
    """What the target's server has for its databases."""

    available: Mapping[str, Available]
    rights: Rights


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done (in check mode, is due), what is there now, and what a person must know."""

    changes: list[dict[str, Any]]
    database: Database
    extensions: list[dict[str, Any]]
    findings: list[Finding]


def converge(params: Mapping[str, Any], *, check_mode: bool) -> Outcome:
    """Make the database and its extensions.

    :param params: ``server``, ``name``, ``owner``, ``source``, ``role_map``, ``extensions`` and
        the properties in database.FIXED, as module pg_database takes them.
    """
    wanted = read_wanted(params)
    with connect("target", params["server"]) as conn:
        offer = Offer(extensions.read_available(conn), extensions.read_rights(conn))
        changes = _converge_database(conn, wanted, offer, check_mode=check_mode)
    found: Mapping[str, Extension] = {}
    if check_mode and any(not isinstance(change, Give) for change in changes):
        due = _due(wanted, found, offer)  # there is no database to look into yet
    else:
        with connect("target", {**params["server"], "dbname": params["name"]}) as conn:
            due, found = _converge_extensions(conn, wanted, offer, check_mode=check_mode)
    versions = {each.extname: offer.available[each.extname].version for each in due}
    versions |= {name: str(each.extversion) for name, each in found.items()}
    return Outcome(
        [*map(database.describe, changes), *(_created(each, offer) for each in due)],
        wanted.database,
        _listed(wanted, versions),
        _findings(wanted, versions),
    )


def read_wanted(params: Mapping[str, Any]) -> Wanted:
    """Return what the target must hold: what was asked for, else what the source has."""
    name, source = params["name"], params["source"]
    role_map = dict(params["role_map"])
    like: Database | None = None
    there: dict[str, Extension] = {}
    if source:
        role_map.setdefault(source["user"], params["server"]["user"])
        with connect("source", source) as conn:
            like = database.read(conn, source["dbname"])
            there = extensions.read(conn)
    owner: str | None = params["owner"]
    if like and not owner:
        owner = role_map.get(str(like.owner), like.owner) or params["server"]["user"]
    asked = {field: params[field] for field in database.FIXED if params[field] is not None}
    wanted = replace(like or Database(name), datname=name, owner=owner, **asked)
    listed = params["extensions"]
    if listed is not None:
        there = {each: there.get(each, Extension(each, None)) for each in listed}
    return Wanted(wanted, {n: e for n, e in there.items() if n != PLPGSQL}, role_map)


def _converge_database(
    conn: Connection, wanted: Wanted, offer: Offer, *, check_mode: bool
) -> list[Change]:
    described = wanted.database
    found = database.read(conn, described.datname)
    changes = database.plan(described, found)
    if any(not isinstance(change, Open) for change in changes):
        database.refuse_unable(conn, described)
    if found is None:
        _due(wanted, {}, offer)  # refuses before there is a database to clear away
    if changes and not check_mode:
        database.apply(conn, changes)
        found = database.read(conn, described.datname)
        if found is None or database.plan(described, found):
            raise NotConvergedError(f"target: database {described.datname} is not as it was made")
    return changes


def _due(wanted: Wanted, found: Mapping[str, Extension], offer: Offer) -> list[Extension]:
    return extensions.plan(wanted.extensions, found, *offer, wanted.database.datname)


def _converge_extensions(
    conn: Connection, wanted: Wanted, offer: Offer, *, check_mode: bool
) -> tuple[list[Extension], Mapping[str, Extension]]:
    """Return the extensions that were created (in check mode, are due) and those that are there."""
    found = extensions.read(conn)
    due = _due(wanted, found, offer)
    if due and not check_mode:
        extensions.apply(conn, due, offer.available, wanted.role_map)
        found = extensions.read(conn)
        if left := _due(wanted, found, offer):
            raise NotConvergedError(
                f"target: extension {left[0].extname} of {wanted.database.datname} did not stay"
            )
    return due, found


def _created(extension: Extension, offer: Offer) -> dict[str, Any]:
    offered = offer.available[extension.extname]
    after = {"version": offered.version, "schema": offered.schema or extension.nspname}
    return {"name": f"extension {extension.extname}", "before": None, "after": after}


def _listed(wanted: Wanted, versions: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "source_version": extension.extversion, "version": versions.get(name)}
        for name, extension in sorted(wanted.extensions.items())
    ]


def _findings(wanted: Wanted, versions: Mapping[str, str]) -> list[Finding]:
    described = wanted.database
    found = extensions.compare(wanted.extensions, versions, described.datname)
    if described.connection_limit != -1:
        limit = described.connection_limit
        found.append(
            Finding(
                "database_connection_limit",
                "note",
                f"database {described.datname}",
                f"{described.datname} has CONNECTION LIMIT {limit} on the source; the target has"
                " none, so that the copy is not held up",
                f"After the migration: ALTER DATABASE … CONNECTION LIMIT {limit}",
            )
        )
    return found
