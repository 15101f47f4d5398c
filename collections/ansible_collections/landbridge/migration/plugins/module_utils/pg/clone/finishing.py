# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end of a copy: sequences, owners, grants and settings; each is read again and set if due."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import sequences
from ..connection import translated
from ..text import json_literal
from . import activity, epochs, grants, large_objects, ownership, settings, statements
from .build import LAST
from .findings import Finding
from .lay_down import first_line
from .part import BATCH, COPY, Part
from .queue import Outcome, Record
from .request import Request
from .sessions import Sessions

if TYPE_CHECKING:
    from psycopg import Connection

SHOWN = 100

EXTENSIONS = """\
SELECT extname, extversion, nspname
  FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace
 ORDER BY 1"""

# Findings that are worth another try once the operator did something about them.
RETRIED = frozenset({"role_missing", "owner_not_set", "grant_not_set", "setting_not_set"})

# What a failure within a part means, by the first word of its id.
PROBLEMS = {
    "validate": (
        "foreign_key_dirty",
        "Rows refer to what is not there, on the source too. Repair them, then VALIDATE.",
    ),
    "refresh": ("matview_not_filled", "Refresh it when what it lacks is there."),
    "remarks": ("comment_not_set", "Set it as the object's owner."),
    "": ("not_created", "Have the provider allow it, or make its replacement by hand."),
}


def finish(
    sessions: Sessions,
    parts: Sequence[Part],
    done: dict[str, Outcome],
    request: Request,
    findings: list[Finding],
) -> dict[str, Any]:
    """Do what is left when all rows are in, mark the copy finished and return the evidence.

    What a log does not bring, such as sequences, is as of the snapshot: of a source that stays
    open it is not in the evidence.
    """
    role_map = request.role_map
    if request.live is not None:
        request.live.quiet()
    with translated("source"):
        positions = sequences.read(sessions.source)
        owned = ownership.read(sessions.source).states
        own = settings.read(sessions.source)
        remarks = large_objects.comments(sessions.source)
        extensions = _extensions_of(sessions.source)
        sessions.source.execute("COMMIT")  # what comes is read outside the snapshot
        after = activity.read(sessions.source)
    for part in parts:
        findings += _problems(part, done.get(part.id))
    with translated("target"):
        sequences.converge(sessions.target, positions, check_mode=False)
        statements.try_all(sessions.target, remarks)
        findings += grants.converge(owned, sessions.target, role_map)
        findings += settings.converge(own, sessions.target, role_map)
        findings += _extensions(extensions, _extensions_of(sessions.target))
        for part in parts:
            if part.id == LAST and part.id not in done:
                done[part.id] = statements.run(part, sessions.target)
                findings += _problems(part, done[part.id])
        counts = table_rows(done)
        if request.live is not None:
            brought = {oid for part in parts for oid in epochs.followed(part)}
            counts = {oid: rows for oid, rows in counts.items() if oid in brought}
        evidence = _evidence(sessions, parts, counts, findings)
        if request.live is None:
            evidence |= _beside(parts, len(positions))
        _mark(sessions, evidence, after, findings)
    return evidence


def retry(sessions: Sessions, record: Record, role_map: Mapping[str, str | None]) -> list[Finding]:
    """Try again what a finished copy could not set. Return what is left to know."""
    before = [Finding(**each) for each in record.findings]
    kept = [finding for finding in before if finding.code not in RETRIED]
    if kept == before:
        return before
    with translated("source"):
        owned = ownership.read(sessions.source).states
        own = settings.read(sessions.source)
    with translated("target"):
        kept += grants.converge(owned, sessions.target, role_map)
        kept += settings.converge(own, sessions.target, role_map)
        listed = json_literal([finding._asdict() for finding in kept])
        update = f"UPDATE landbridge.clone SET findings = {listed}"  # noqa: S608 - quoted
        sessions.target.execute(update.encode(errors="surrogateescape"))
    return kept


def _extensions(
    wanted: Mapping[str, tuple[str, str]], found: Mapping[str, tuple[str, str]]
) -> Iterator[Finding]:
    """Yield the extensions that are not the source's version or not in its schema."""
    for name, (version, nspname) in wanted.items():
        there, where = found.get(name, ("none", nspname))
        if there != version:
            message = f"version {version} on the source, {there} on the target"
            yield Finding("extension_version", name, message, severity="note")
        if where != nspname:
            message = f"in schema {nspname} on the source, in {where} on the target"
            remedy = "Make it in the source's schema before the copy."
            yield Finding("extension_schema", name, message, remedy)


def _extensions_of(conn: Connection) -> dict[str, tuple[str, str]]:
    return {name: (version, nspname) for name, version, nspname in conn.execute(EXTENSIONS)}


def _problems(part: Part, outcome: Outcome | None) -> Iterator[Finding]:
    code, remedy = PROBLEMS.get(part.id.partition(":")[0], PROBLEMS[""])
    for problem in outcome.problems if outcome else ():
        severity = "blocker" if code == "not_created" else "warning"
        name = first_line(problem["statement"])
        yield Finding(code, name, problem["message"], remedy, severity)


def _evidence(
    sessions: Sessions,
    parts: Sequence[Part],
    counts: Mapping[str, int],
    findings: Sequence[Finding],
) -> dict[str, Any]:
    """Return the proof: what was counted on both sides in the transactions that copied it."""
    return {
        "source": sessions.found.identity(),
        "target": sessions.described.identity(),
        "tables_count": len(counts),
        "rows": sum(counts.values()),
        "bytes": sum(part.bytes for part in parts),
        "parts_count": sum(part.kind in (COPY, BATCH) for part in parts),
        "findings_count": len(findings),
        "findings": [finding._asdict() for finding in findings[:SHOWN]],
    }


def _beside(parts: Sequence[Part], sequences_count: int) -> dict[str, Any]:
    """Return the proof for what is not in tables."""
    objects = (part.payload.get("objects", ()) for part in parts)
    return {
        "sequences_count": sequences_count,
        "large_objects_count": sum(len(each) for each in objects),
    }


def table_rows(done: Mapping[str, Outcome]) -> dict[str, int]:
    """Return the rows of each table by its OID on the source."""
    counts: dict[str, int] = {}
    for outcome in done.values():
        for oid, rows in (outcome.tables or {}).items():
            counts[oid] = counts.get(oid, 0) + rows
    return counts


def _mark(
    sessions: Sessions,
    evidence: Mapping[str, Any],
    after: activity.Activity,
    findings: Sequence[Finding],
) -> None:
    """Record that the copy is complete; this commit also flushes those that did not wait."""
    listed = [finding._asdict() for finding in findings]
    columns = (
        f"activity = {json_literal(after)}, findings = {json_literal(listed)},"
        f" result = {json_literal(evidence)}, finished = clock_timestamp()"
    )
    update = f"UPDATE landbridge.clone SET {columns}"  # noqa: S608 - quoted
    text = f"BEGIN; SET LOCAL synchronous_commit = on; {update}; COMMIT"
    sessions.target.execute(text.encode(errors="surrogateescape"))
