# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The first half of a copy: read the source, and either lay down a new plan or take up an old."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ..binaries import Tool
from ..connection import translated
from ..text import qualified
from . import epochs, large_objects, preconditions, relations, resume, schema
from .activity import Activity
from .copy import Sides
from .findings import Finding
from .lay_down import first_line, lay_down
from .part import Part
from .plan import Plan, Setting, build, configured
from .queue import Outcome, Record
from .relations import Configured, Relations
from .request import Request
from .schema import PG_POLICY, Schema
from .sessions import Sessions
from .toc import Entry, split

OURS = "landbridge_"  # what follows a source carries this in its names


@dataclass(frozen=True, slots=True)
class Begin:
    """What reading the source takes; ``findings`` is added to."""

    sessions: Sessions
    sides: Sides
    pg_dumps: Sequence[Tool]
    setting: Setting
    request: Request
    findings: list[Finding]

    def anew(self, counts: Activity) -> tuple[list[Part], dict[str, Outcome]]:
        """Plan a copy and write it down, unless in check mode."""
        found, entries = self._read()
        names = {table.name for table in found.tables.values()}
        with translated("target"):
            preconditions.check_empty(self.sessions.target, self.request.adopt, names)
        planned = self._plan(found, entries)
        digest = schema.digest(entries)
        record = Record(
            self.sessions.found.identity(), digest, counts,
            [finding._asdict() for finding in self.findings], False, None, self.setting.live,
        )  # fmt: skip
        if not self.request.check_mode:
            lay_down(self.sessions.target, record, planned, self.findings)
        return planned.parts, {}

    def again(self, record: Record, counts: Activity) -> tuple[list[Part], dict[str, Outcome]]:
        """Take up a copy; what the source has written to since is done again.

        From a source that stays open, what is left is copied as of now.
        """
        resume.check_source(record, self.sessions.found)
        self.findings.extend(Finding(**each) for each in record.findings)
        _unused, entries = self._read()
        resume.check_schema(record, schema.digest(entries))
        parts, done = self.sessions.parts()
        if self.setting.live:
            return resume.next_epoch(self.sessions.target, parts, done, counts, self.request)
        written = resume.written(record, counts)
        written += resume.emptied(self.sessions.target, parts, done)
        return parts, resume.undo(self.sessions.target, parts, done, written, counts, self.request)

    def _read(self) -> tuple[Relations, list[Entry]]:
        """Read the catalogs while pg_dump reads the schema, both under the snapshot."""
        quote_all = self.sessions.found.major != self.sessions.described.major
        with ThreadPoolExecutor(1) as pool:
            dumping = pool.submit(
                schema.dump, self.sides.source, self.pg_dumps, self.sides.snapshot, self.findings,
                quote_all=quote_all,
            )  # fmt: skip
            with translated("source"):
                found = relations.read(self.sessions.source)
            preconditions.check_readable(found.tables.values(), self.sessions.source.info.user)
            return found, split(dumping.result())

    def _plan(self, found: Relations, entries: Sequence[Entry]) -> Plan:
        sorted_ = schema.classify(entries, found)
        self.findings.extend(_left_out(found.replication))
        sorted_.post[:] = self._policies(sorted_)
        planned = build(sorted_, found, self.setting)
        with translated("source"):
            objects = large_objects.read(self.sessions.source)
            extensions = [configured(each) for each in self._filled(found.configured)]
        version = self.sides.source.server_version
        others = [*large_objects.parts(objects, version), *extensions]
        parts = [*planned.parts, *others]
        return Plan(planned.ddl, epochs.first(parts) if self.setting.live else parts)

    def _filled(self, tables: Sequence[Configured]) -> list[Configured]:
        """Return the extensions' tables that hold rows of the user's."""
        if not tables:
            return []
        names = [qualified(each.nspname, each.relname) for each in tables]
        asked = [
            f"SELECT {n} WHERE EXISTS (SELECT FROM ONLY {name} {each.condition})"  # noqa: S608
            for n, (name, each) in enumerate(zip(names, tables, strict=True))
        ]
        cursor = self.sessions.source.execute(" UNION ALL ".join(asked).encode())
        return [tables[n] for (n,) in cursor]

    def _policies(self, sorted_: Schema) -> Iterable[Entry]:
        """Yield the entries after the data, their policies in the target's role names."""
        for entry in sorted_.post:
            if entry.class_oid != PG_POLICY:
                yield entry
                continue
            first = schema.map_policy(entry.statements[0], self.request.role_map)
            if first is None:
                self.findings.append(_nobodys_policy(entry))
            else:
                yield entry._replace(statements=(first, *entry.statements[1:]))


def _nobodys_policy(entry: Entry) -> Finding:
    return Finding(
        "policy_left_out",
        first_line(entry.statements[0]),
        "none of the policy's roles is moved",
        "Map one of its roles in role_map if the policy is needed.",
    )


def _left_out(replication: Sequence[tuple[str, str]]) -> Iterable[Finding]:
    for kind, name in replication:
        if name.startswith(OURS):
            continue
        yield Finding(
            "replication_left_out",
            f"{kind} {name}",
            f"a {kind} is not copied: a target must not start to replicate by itself",
            "Make it on the target when replication is to go on from there.",
            "note",
        )
