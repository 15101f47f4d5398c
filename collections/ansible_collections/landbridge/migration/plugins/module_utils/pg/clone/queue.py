# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of a copy as rows of the target database, and the record of the copy itself.

A part's row is claimed and marked done in the transaction that does the part. So whatever dies,
a part is there with all its rows and its mark, or with nothing.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..text import array_literal, json_literal, literal
from .part import BARRIER, Part

if TYPE_CHECKING:
    from psycopg import Connection

TABLES = """\
CREATE SCHEMA IF NOT EXISTS landbridge;
CREATE TABLE landbridge.clone (
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  source jsonb NOT NULL,
  digest text NOT NULL,
  activity jsonb NOT NULL,
  findings jsonb NOT NULL,
  started timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished timestamptz,
  result jsonb
);
CREATE TABLE landbridge.part (
  id text PRIMARY KEY,
  kind text NOT NULL,
  label text NOT NULL,
  phase text NOT NULL,
  cost_s float8 NOT NULL,
  bytes bigint NOT NULL,
  needs text[] NOT NULL,
  payload json NOT NULL,
  finished timestamptz,
  rows bigint,
  elapsed_s float8,
  result jsonb
);
"""

# Of a source that stays open: under which of its snapshots a part is to be copied, or was.
EPOCHS = """\
CREATE TABLE landbridge.epoch (part text PRIMARY KEY, number integer NOT NULL);
"""

PRESENT = """\
SELECT to_regclass('landbridge.clone') IS NOT NULL, to_regclass('landbridge.epoch') IS NOT NULL"""
LOAD_EPOCHS = "SELECT part, number FROM landbridge.epoch"

LOAD_CLONE = """\
SELECT source, digest, activity, findings, finished IS NOT NULL, result
  FROM landbridge.clone"""

LOAD_PARTS = """\
SELECT id, kind, label, cost_s, needs, payload, bytes, phase, finished IS NOT NULL,
       coalesce(rows, 0), coalesce(elapsed_s, 0), result
  FROM landbridge.part"""

# The name of the claim's own error: another worker has the part, or did it.
TAKEN = "55P03"


@dataclass(frozen=True, slots=True)
class Record:
    """A copy as its target knows it; ``live`` if its source was open."""

    source: Mapping[str, Any]
    digest: str
    activity: Mapping[str, Any]
    findings: Sequence[Mapping[str, str]]
    finished: bool
    result: Mapping[str, Any] | None
    live: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What doing a part gave. ``tables``: rows by the source's OID; ``problems``: findings."""

    rows: int = 0
    elapsed_s: float = 0.0
    tables: Mapping[str, int] | None = None
    problems: Sequence[Mapping[str, str]] = ()

    def result(self) -> dict[str, Any]:
        return {"tables": dict(self.tables or {}), "problems": list(self.problems)}


def read(conn: Connection) -> Record | None:
    """Return the record of the copy that this database is the target of, if it is one."""
    row = conn.execute(PRESENT).fetchone()
    if not (row and row[0]):
        return None
    found = conn.execute(LOAD_CLONE).fetchone()
    return replace(Record(*found), live=row[1]) if found else None


def load(conn: Connection) -> tuple[list[Part], dict[str, Outcome]]:
    """Return all parts, and what those that are done gave."""
    parts: list[Part] = []
    done: dict[str, Outcome] = {}
    for id_, kind, label, cost_s, needs, payload, size, phase, finished, *gave in conn.execute(
        LOAD_PARTS
    ):
        parts.append(Part(id_, kind, label, cost_s, tuple(needs), payload, size, phase))
        if finished:
            rows, elapsed_s, result = gave
            result = result or {}
            done[id_] = Outcome(rows, elapsed_s, result.get("tables"), result.get("problems", ()))
    row = conn.execute(PRESENT).fetchone()
    rows = conn.execute(LOAD_EPOCHS).fetchall() if row and row[1] else []
    epochs = {part: int(number) for part, number in rows}
    return [replace(part, epoch=epochs.get(part.id)) for part in parts], done


def created(record: Record, parts: Sequence[Part]) -> str:
    """Return the statements that write down a new copy."""
    rows = ",\n".join(_row(part) for part in parts)
    values = ", ".join(
        (json_literal(record.source), literal(record.digest), json_literal(record.activity),
         json_literal(record.findings))
    )  # fmt: skip
    clone = f"INSERT INTO landbridge.clone (source, digest, activity, findings) VALUES ({values});"  # noqa: S608 - quoted
    columns = "id, kind, label, phase, cost_s, bytes, needs, payload"
    insert = f"INSERT INTO landbridge.part ({columns}) VALUES\n{rows};" if rows else ""
    of_epochs = [part for part in parts if part.epoch is not None]
    epochs = f"{EPOCHS}{assigned(of_epochs)};" if record.live else ""
    return f"{TABLES}{clone}\n{insert}\n{epochs}\n"


def assigned(parts: Collection[Part]) -> str:
    """Return the statement that says of which epoch each part is to be."""
    rows = ", ".join(f"({literal(part.id)}, {part.epoch})" for part in parts)
    if not rows:
        return "SELECT"
    return (
        f"INSERT INTO landbridge.epoch VALUES {rows}"  # noqa: S608 - quoted
        " ON CONFLICT (part) DO UPDATE SET number = excluded.number"
    )


def _row(part: Part) -> str:
    texts = ", ".join(literal(each) for each in (part.id, part.kind, part.label, part.phase))
    payload = literal(json.dumps(part.payload))
    return f"({texts}, {part.cost_s}, {part.bytes}, {array_literal(part.needs)}, {payload})"


def claim(part: Part) -> str:
    """Return the statement that takes a part for this transaction, or fails with TAKEN.

    Whoever holds the snapshot of an earlier epoch does not get it.
    """
    of_epoch = (
        f" AND EXISTS (SELECT FROM landbridge.epoch WHERE part = id AND number = {part.epoch})"
        if part.epoch is not None
        else ""
    )
    body = f"""BEGIN
  PERFORM FROM landbridge.part WHERE id = {literal(part.id)} AND finished IS NULL{of_epoch}
      FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'another worker has this part' USING ERRCODE = '{TAKEN}';
  END IF;
END"""
    return f"DO {literal(body)}"


def finish(part_id: str, outcome: Outcome, *, problems: str = "'[]'::jsonb") -> str:
    """Return the statement that marks a part done.

    :param problems: an expression for those that only the target knows.
    """
    result = f"jsonb_set({json_literal(outcome.result())}, '{{problems}}', {problems})"
    elapsed_s = outcome.elapsed_s or "extract(epoch FROM clock_timestamp() - now())"
    return (
        "UPDATE landbridge.part SET finished = clock_timestamp(),"  # noqa: S608 - quoted
        f" rows = {outcome.rows}, elapsed_s = {elapsed_s}, result = {result}"
        f" WHERE id = {literal(part_id)}"
    )


def is_work(part: Part) -> bool:
    return part.kind != BARRIER
