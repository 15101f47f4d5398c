# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal's tables, made and changed by numbered migrations.

A migration is never edited once released: the next number follows. They run in one transaction
under an advisory lock, so two control nodes that start at once do not both apply them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import PreconditionError

if TYPE_CHECKING:
    import psycopg

LOCK = 5_493_171_400_310_114_001  # any constant that nobody else locks

FIRST = """
CREATE TABLE landbridge.migration (
  name text PRIMARY KEY,
  description text NOT NULL,
  rehearsal_of text,
  created timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE landbridge.run (
  run_id uuid PRIMARY KEY,
  migration text NOT NULL REFERENCES landbridge.migration,
  kind text NOT NULL,
  username text NOT NULL,
  hostname text NOT NULL,
  pid bigint NOT NULL,
  process_started timestamptz NOT NULL,
  backend_pid integer,
  started timestamptz NOT NULL DEFAULT now(),
  finished timestamptz,
  outcome text
);
CREATE INDEX run_of_migration ON landbridge.run (migration, started);
CREATE TABLE landbridge.checkpoint (
  checkpoint_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  migration text NOT NULL REFERENCES landbridge.migration,
  stage text NOT NULL,
  host text NOT NULL,
  digest text NOT NULL UNIQUE,
  fingerprint text NOT NULL,
  inputs json NOT NULL,
  requires json NOT NULL,
  evidence json NOT NULL,
  run_id uuid NOT NULL REFERENCES landbridge.run,
  started timestamptz NOT NULL,
  finished timestamptz NOT NULL,
  superseded timestamptz,
  superseded_why text
);
CREATE UNIQUE INDEX checkpoint_current ON landbridge.checkpoint (migration, stage, host)
  WHERE superseded IS NULL;
CREATE TABLE landbridge.answer (
  answer_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  migration text NOT NULL REFERENCES landbridge.migration,
  item text NOT NULL,
  answer text NOT NULL,
  how text NOT NULL,
  text text NOT NULL,
  note text NOT NULL,
  evidence json NOT NULL,
  answered_by text NOT NULL,
  answered timestamptz NOT NULL,
  run_id uuid NOT NULL REFERENCES landbridge.run
);
CREATE INDEX answer_to_item ON landbridge.answer (migration, item);
CREATE TABLE landbridge.decision (
  decision_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  migration text NOT NULL REFERENCES landbridge.migration,
  digest text NOT NULL,
  decision text NOT NULL,
  how text NOT NULL,
  parts json NOT NULL,
  decided_by text NOT NULL,
  decided timestamptz NOT NULL,
  run_id uuid NOT NULL REFERENCES landbridge.run
);
CREATE INDEX decision_on_digest ON landbridge.decision (migration, digest);
CREATE TABLE landbridge.timing (
  timing_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  migration text NOT NULL REFERENCES landbridge.migration,
  run_id uuid NOT NULL REFERENCES landbridge.run,
  stage text NOT NULL,
  host text NOT NULL,
  inputs json NOT NULL,
  requires json NOT NULL,
  started timestamptz NOT NULL,
  finished timestamptz
);
CREATE INDEX timing_of_stage ON landbridge.timing (migration, stage, host);
"""

MIGRATIONS = (FIRST,)

VERSION = """
SELECT to_regclass('landbridge.journal_version') IS NOT NULL
"""
VERSION_TABLE = """
CREATE SCHEMA IF NOT EXISTS landbridge;
CREATE TABLE IF NOT EXISTS landbridge.journal_version (
  version integer PRIMARY KEY,
  applied timestamptz NOT NULL DEFAULT now()
)
"""
LATEST = "SELECT coalesce(max(version), 0) FROM landbridge.journal_version"
APPLIED = "INSERT INTO landbridge.journal_version (version) VALUES (%s)"

CREATE_DATABASE = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'"
REVOKE_PUBLIC = "REVOKE ALL ON DATABASE {} FROM PUBLIC"


def read(conn: psycopg.Connection) -> int:
    """Return the number of the last migration applied, 0 for none."""
    row = conn.execute(VERSION).fetchone()
    if not row or not row[0]:
        return 0
    latest = conn.execute(LATEST).fetchone()
    return int(latest[0]) if latest else 0


def plan(found: int, known: int = len(MIGRATIONS)) -> range:
    """Return the numbers of the migrations to apply.

    Raise PreconditionError if the journal is of a newer Landbridge.
    """
    if found > known:
        raise PreconditionError(
            f"journal: a newer Landbridge wrote it (schema {found}, this one knows {known})",
            hint="Run the version of Landbridge that this migration was begun with, or newer.",
        )
    return range(found + 1, known + 1)


def apply(conn: psycopg.Connection) -> int:
    """Bring the journal's tables up to date; return how many migrations were applied."""
    if not plan(read(conn)):
        return 0
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        due = plan(read(conn))
        for number in due:
            if number == 1:
                conn.execute(VERSION_TABLE)
            conn.execute(MIGRATIONS[number - 1])
            conn.execute(APPLIED, [number])
    return len(due)


def create_database(conn: psycopg.Connection, dbname: str) -> bool:
    """Create the journal's database unless it is there; return whether it was created."""
    from psycopg import errors, sql

    if database_exists(conn, dbname):
        return False
    name = sql.Identifier(dbname)
    try:
        conn.execute(sql.SQL(CREATE_DATABASE).format(name))
    except (errors.DuplicateDatabase, errors.UniqueViolation):
        return False  # another run was first
    conn.execute(sql.SQL(REVOKE_PUBLIC).format(name))
    return True


def database_exists(conn: psycopg.Connection, dbname: str) -> bool:
    row = conn.execute("SELECT FROM pg_database WHERE datname = %s", [dbname]).fetchone()
    return row is not None
