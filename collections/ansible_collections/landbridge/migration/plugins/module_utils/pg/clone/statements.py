# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a part's statements on the target: all or none, or each for itself, in one round trip.

What a managed service forbids is found by trying. Statements that may fail go into one DO block,
each in its own subtransaction, and what failed comes back as data.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..text import array_literal, literal
from .part import Part
from .queue import Outcome, claim, finish

if TYPE_CHECKING:
    from psycopg import Connection

PROBLEMS = "landbridge.problems"

# Each statement is tried with every search_path in turn; the exception handler also puts back
# the path. A block's own subtransaction keeps what the others did.
TRY_EACH = """\
DECLARE
  statement text;
  path text;
  done boolean;
  problem jsonb;
  problems jsonb := '[]';
BEGIN
  FOREACH statement IN ARRAY {statements} LOOP
    done := false;
    problem := NULL;
    FOREACH path IN ARRAY {paths} LOOP
      CONTINUE WHEN done;
      BEGIN
        PERFORM set_config('search_path', path, true);
        EXECUTE statement;
        done := true;
      EXCEPTION WHEN OTHERS THEN
        problem := coalesce(problem, jsonb_build_object(
          'statement', statement, 'sqlstate', SQLSTATE, 'message', SQLERRM));
      END;
    END LOOP;
    IF NOT done THEN problems := problems || problem; END IF;
  END LOOP;
  PERFORM set_config('landbridge.problems', problems::text, true);
END"""

READ_PROBLEMS = f"current_setting('{PROBLEMS}')::jsonb"


def try_each(statements: Sequence[str], paths: Sequence[str] = ("",)) -> str:
    """Return the DO statement that runs each and leaves what failed in PROBLEMS."""
    body = TRY_EACH.format(statements=array_literal(statements), paths=array_literal(paths))
    return f"DO {literal(body)}"


def query(part: Part) -> str:
    """Return a part's whole transaction, but for the commit and the mark."""
    payload = part.payload
    settings = [
        f"SET LOCAL {name} = {literal(value)}"
        for name, value in (payload.get("settings") or {}).items()
    ]
    work = list(payload["statements"])
    if payload.get("tolerant"):
        path = payload.get("path")
        work = [try_each(work, ("",) if path is None else ("", path))]
    return ";\n".join(["BEGIN", claim(part), *settings, *work]) + ";"


def run(part: Part, target: Connection) -> Outcome:
    """Do a part and commit it with its mark."""
    started = time.monotonic()
    tolerant = part.payload.get("tolerant")
    problems = READ_PROBLEMS if tolerant else "'[]'::jsonb"
    mark = finish(part.id, Outcome(), problems=problems)
    found = problems_of(target, f"{query(part)}\nSELECT {problems}", f"{mark};\nCOMMIT;")
    return Outcome(0, time.monotonic() - started, None, found)


def try_all(target: Connection, statements: Sequence[str]) -> list[Mapping[str, str]]:
    """Run each statement for itself, together in one transaction. Return what failed."""
    if not statements:
        return []
    return problems_of(
        target, f"BEGIN;\n{try_each(statements)};\nSELECT {READ_PROBLEMS}", "COMMIT;"
    )


def problems_of(target: Connection, text: str, tail: str) -> list[Mapping[str, str]]:
    """Run ``text``, whose last query yields problems, then ``tail``; return the problems."""
    whole = f"{text} AS problems;\n{tail}"
    cursor = target.execute(whole.encode(errors="surrogateescape"), prepare=False)
    found: list[Mapping[str, str]] = []
    while True:
        if cursor.description and cursor.description[0].name == "problems":
            found = next(iter(cursor))[0]
        if not cursor.nextset():
            return found
