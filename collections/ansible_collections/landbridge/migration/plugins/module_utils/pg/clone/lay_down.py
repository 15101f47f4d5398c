# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Begin a copy: everything that comes before the data and the list of parts, all or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ...errors import PostgresError
from ..connection import translated
from ..text import json_literal
from .findings import Finding
from .plan import Plan
from .queue import Record, created
from .statements import READ_PROBLEMS, problems_of, try_each

if TYPE_CHECKING:
    from psycopg import Connection

# What a managed service may forbid, and a database may do without.
OPTIONAL = (
    "CREATE EVENT TRIGGER ", "CREATE SERVER ", "CREATE FOREIGN DATA WRAPPER ",
    "CREATE USER MAPPING ", "CREATE FOREIGN TABLE ", "CREATE CAST ", "CREATE ACCESS METHOD ",
    "CREATE TEXT SEARCH ", "CREATE TRANSFORM ", "CREATE OPERATOR ", "CREATE PROCEDURAL LANGUAGE ",
    "CREATE OR REPLACE PROCEDURAL LANGUAGE ", "CREATE TRUSTED ", "CREATE CONVERSION ",
    "CREATE DEFAULT CONVERSION ", "ALTER OPERATOR FAMILY ", "CREATE FUNCTION ",
    "CREATE PROCEDURE ", "CREATE AGGREGATE ", "CREATE VIEW ", "CREATE MATERIALIZED VIEW ",
    "ALTER FOREIGN TABLE ",
)  # fmt: skip

# Bodies are not checked: they may name what is made later.
SETTINGS = "SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = error"


def lay_down(target: Connection, record: Record, plan: Plan, findings: list[Finding]) -> None:
    """Make what comes before the data, and write down the parts.

    Statements that may fail are found only when one did: then each is tried for itself. Raise
    PostgresError if a copy cannot do without one of those that fail; then nothing is made.
    """
    begin = f"BEGIN; {SETTINGS};\n"
    texts = [begin, created(record, plan.parts), *(f"{text};\n" for text in plan.ddl), "COMMIT"]
    try:
        with translated("target"):
            target.execute("".join(texts).encode(errors="surrogateescape"), prepare=False)
        return
    except PostgresError as exc:
        target.execute("ROLLBACK")
        if exc.sqlstate is None:
            raise
    with translated("target"):
        one_by_one = f"{begin}{created(record, plan.parts)}{try_each(plan.ddl)};\nSELECT "
        problems = problems_of(target, one_by_one + READ_PROBLEMS, "")
    _decide(target, problems, findings)


def _decide(
    target: Connection, problems: Iterable[Mapping[str, str]], findings: list[Finding]
) -> None:
    """Commit if a copy can do without what failed."""
    for problem in problems:
        if not problem["statement"].startswith(OPTIONAL):
            target.execute("ROLLBACK")
            raise PostgresError(
                f"target: {problem['message']}, in {first_line(problem['statement'])}",
                sqlstate=problem["sqlstate"],
                hint="Make it on the target beforehand, or drop it from the source.",
            )
        findings.append(
            Finding(
                "not_created",
                first_line(problem["statement"]),
                problem["message"],
                "Have the provider allow it, or make its replacement by hand.",
                "blocker",
            )
        )
    listed = json_literal([finding._asdict() for finding in findings])
    target.execute(f"UPDATE landbridge.clone SET findings = {listed}; COMMIT".encode())  # noqa: S608


def first_line(statement: str) -> str:
    """Return what names a statement to people."""
    line = statement.split("\n", 1)[0].strip()
    return line if len(line) <= 120 else f"{line[:119]}…"
