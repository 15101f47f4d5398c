# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The source's schema as pg_dump writes it, sorted by when each entry's turn comes.

Owners and grants are not in it: those are ours (grants.py), because their roles are mapped.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from ... import process
from ...errors import PostgresError
from ..binaries import Tool
from ..endpoint import Endpoint
from ..text import ident
from .findings import Finding
from .relations import PG_CLASS, Constraint, Relations
from .toc import Entry

PG_CONSTRAINT, PG_POLICY = 2606, 3256
PG_STATISTIC_EXT, PG_EVENT_TRIGGER, PG_DATABASE = 3381, 3466, 1262
PUBLICATIONS = frozenset({6104, 6106, 6237, 6100, 6102})  # and subscriptions

# Classes that only ever come after the data: rules, triggers, policies and those above.
AFTER_DATA = frozenset({2618, 2620, PG_POLICY, PG_EVENT_TRIGGER, PG_CONSTRAINT}) | PUBLICATIONS

NAME = r'(?:"(?:[^"]|"")*"|[\w$]+)'
POLICY = re.compile(
    rf"(CREATE POLICY {NAME} ON {NAME}\.{NAME}(?: AS RESTRICTIVE)?(?: FOR \w+)?)"
    rf" TO ({NAME}(?:, {NAME})*)(.*)\Z",
    re.DOTALL,
)
NOT_CREATED = ("COMMENT ON EXTENSION ", "COMMENT ON DATABASE ", "SECURITY LABEL ON DATABASE ")


@dataclass(slots=True)
class Schema:
    """A dump's entries by their turn; each list is in the dump's order.

    ``pre`` comes before the data, ``after`` by table once its rows are in, ``foreign_keys`` when
    all are, ``post`` then, ``last`` (event triggers) when nothing else is left to do.
    """

    pre: list[Entry] = field(default_factory=list)
    after: dict[int, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    attach: list[Entry] = field(default_factory=list)
    foreign_keys: list[Entry] = field(default_factory=list)
    post: list[Entry] = field(default_factory=list)
    remarks: list[Entry] = field(default_factory=list)  # comments and security labels
    last: list[Entry] = field(default_factory=list)


def dump(
    source: Endpoint,
    pg_dumps: Sequence[Tool],
    snapshot: str,
    findings: list[Finding],
    *,
    quote_all: bool,
) -> str:
    """Return the schema's text under ``snapshot``. Raise PostgresError if no pg_dump can read it.

    :param quote_all: the target's keywords are not the source's.
    """
    problem = ""
    for tool in pg_dumps:
        text, complaint = _dump(source, tool, snapshot, quote_all=quote_all)
        if not complaint:
            if problem:
                findings.append(Finding("other_pg_dump", str(tool.path), problem, severity="note"))
            return text
        problem = problem or f"pg_dump {tool.version} cannot read the source: {complaint}"
    raise PostgresError(
        f"source: {problem}",
        hint="Install pg_dump of the source's own latest minor version and name it in bin_dir.",
    )


def classify(entries: Sequence[Entry], relations: Relations) -> Schema:
    """Sort a dump's entries by their turn."""
    schema = Schema()
    data_passed = False
    for entry in entries:
        data_passed = data_passed or entry.class_oid in AFTER_DATA or _is_index(entry)
        if entry.statements:
            _sort(entry, schema, relations, data_passed=data_passed)
    return schema


def digest(entries: Sequence[Entry]) -> str:
    """Return what tells whether a schema was changed between two dumps."""
    found = sha256()
    for entry in entries:
        found.update(f"{entry.class_oid} {entry.oid} {entry.sql}".encode(errors="replace"))
    return found.hexdigest()


def _sort(entry: Entry, schema: Schema, relations: Relations, *, data_passed: bool) -> None:
    first = entry.statements[0]
    if entry.class_oid in {*PUBLICATIONS, PG_DATABASE} or first.startswith(NOT_CREATED):
        return
    if first.startswith(("COMMENT ON ", "SECURITY LABEL ")):
        schema.remarks.append(entry)
    elif entry.class_oid == PG_EVENT_TRIGGER:
        schema.last.append(entry)
    elif (table := _table_after(entry, relations)) is not None:
        schema.after[table].append(entry)
    elif _is_foreign_key(entry, relations):
        schema.foreign_keys.append(entry)
    elif first.startswith("ALTER INDEX ") or _is_index(entry) or _of_parent(entry, relations):
        schema.attach.append(entry)
    elif data_passed:
        schema.post.append(entry)
    else:
        schema.pre.append(entry)


def _table_after(entry: Entry, relations: Relations) -> int | None:
    """Return the table or matview whose rows an index, constraint or statistics object awaits."""
    table = None
    if _is_index(entry) and (index := relations.indexes.get(entry.oid)):
        table = index.indrelid
    elif constraint := _constraint(entry, relations):
        table = constraint.conrelid if constraint.contype != "f" else None
    elif entry.class_oid == PG_STATISTIC_EXT:
        table = relations.belongs.get((PG_STATISTIC_EXT, entry.oid))
    found = relations.tables.get(table) if table else None
    return table if found and found.relkind in ("r", "m") else None


def _constraint(entry: Entry, relations: Relations) -> Constraint | None:
    if entry.class_oid != PG_CONSTRAINT:
        return None
    return relations.constraints.get(entry.oid)


def _is_index(entry: Entry) -> bool:
    return entry.class_oid == PG_CLASS and any(
        statement.startswith(("CREATE INDEX ", "CREATE UNIQUE INDEX "))
        for statement in entry.statements[:1]
    )


def _is_foreign_key(entry: Entry, relations: Relations) -> bool:
    constraint = _constraint(entry, relations)
    return constraint is not None and constraint.contype == "f"


def _of_parent(entry: Entry, relations: Relations) -> bool:
    """Tell a key of a partitioned table: its partitions' are attached to it."""
    constraint = _constraint(entry, relations)
    return constraint is not None and constraint.contype in ("p", "u", "x")


def map_policy(statement: str, role_map: Mapping[str, str | None]) -> str | None:
    """Return a CREATE POLICY in the target's role names; None if none of its roles is left."""
    if not role_map or not (found := POLICY.match(statement)):
        return statement
    names = [_unquoted(name) for name in re.findall(NAME, found[2])]
    mapped = (role_map.get(name, name) for name in names)
    kept = [ident(name) for name in mapped if name is not None]
    return f"{found[1]} TO {', '.join(kept)}{found[3]}" if kept else None


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _dump(source: Endpoint, tool: Tool, snapshot: str, *, quote_all: bool) -> tuple[str, str]:
    """Return the dump, or pg_dump's first complaint."""
    argv: list[str | Path] = [
        tool.path, "-s", "-v", f"--snapshot={snapshot}", "--no-owner", "--no-acl",
        "--no-tablespaces", "--no-publications", "--no-subscriptions", "-N", "landbridge",
        "--encoding=UTF8", *(["--quote-all-identifiers"] if quote_all else []),
        "-d", source.conninfo,
    ]  # fmt: skip
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = process.spawn(argv, env=source.env, stdout=out, stderr=err)
        try:
            child.wait()
        finally:
            process.end(child)
        if child.returncode == 0:
            out.seek(0)
            return out.read().decode(errors="surrogateescape"), ""
        err.seek(0)
        return "", _complaint(err.read().decode(errors="replace"))


def _complaint(said: str) -> str:
    errors = [line for line in said.splitlines() if "error:" in line or "ERROR:" in line]
    return (errors or said.splitlines() or ["it said nothing"])[0].removeprefix("pg_dump: error: ")
