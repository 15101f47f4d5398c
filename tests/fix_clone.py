"""What tests of a copy share: a mixed database, and looking at both sides from outside."""

import os
import subprocess
from pathlib import Path

import pytest
from psycopg import connect as psycopg_connect
from psycopg import sql

from ansible_collections.landbridge.migration.plugins.module_utils.pg import binaries

MIXED = Path(__file__).parent / "fixtures" / "clone" / "mixed.sql"
ROLES = ("clone_owner", "clone_app", "clone_reader", "clone_old")

TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE relkind IN ('r', 'm') AND relispopulated
   AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'landbridge')
 ORDER BY 1"""
CHECKSUM = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM ONLY {} t"
OBJECTS = """
SELECT oid, lomacl::text, pg_get_userbyid(lomowner), sha256(lo_get(oid))::text,
       obj_description(oid, 'pg_largeobject')
  FROM pg_largeobject_metadata ORDER BY oid"""
SEQUENCES = """
SELECT schemaname, sequencename, last_value, pg_sequence_last_value(
         format('%I.%I', schemaname, sequencename)::regclass)
  FROM pg_sequences ORDER BY 1, 2"""
OPTIONS = "-c search_path= -c extra_float_digits=3 -c TimeZone=UTC"


@pytest.fixture
def as_superuser(postgres):
    """Return a function: a connection to a server dict's database that no rule restrains."""

    def connect(server):
        made = next(
            each for each in postgres.servers.values() if each.admin["port"] == server["port"]
        )
        return psycopg_connect(
            **{**made.superuser, "dbname": server["dbname"]}, autocommit=True, options=OPTIONS
        )

    return connect


@pytest.fixture
def schema_of(as_superuser):
    """Return a function: the whole schema of a database, owners and grants included, as text."""
    pg_dump = binaries.rank(binaries._tools("pg_dump", binaries.folders(None)), 17, 17)[0].path

    def dump(server):
        with as_superuser(server) as conn:
            info = conn.info
            said = subprocess.run(
                [pg_dump, "-s", "-N", "landbridge", "-h", info.host, "-p", str(info.port), "-U",
                 info.user, "-d", info.dbname, "--no-publications", "--no-comments"],
                capture_output=True, text=True, check=True,
                env={**os.environ, "PGOPTIONS": ""},
            )  # fmt: skip
        lines = said.stdout.splitlines()
        return "\n".join(line for line in lines if not line.startswith(("\\", "-- Dumped")))

    return dump


@pytest.fixture
def contents_of(as_superuser):
    """Return a function: counts and checksums of every table, sequences and large objects."""

    def read(server):
        with as_superuser(server) as conn:
            tables = {}
            for (name,) in conn.execute(TABLES).fetchall():
                tables[name] = conn.execute(sql.SQL(CHECKSUM).format(sql.SQL(name))).fetchone()
            return tables, conn.execute(SEQUENCES).fetchall(), conn.execute(OBJECTS).fetchall()

    return read


@pytest.fixture
def mixed(source, target):
    """Source and target for a copy: the source holds one of everything."""
    for server, roles in ((source, ROLES), (target, (*ROLES, "clone_new"))):
        with psycopg_connect(**server, autocommit=True, options=OPTIONS) as conn:
            for role in roles:
                name = sql.Identifier(role)
                conn.execute(sql.SQL("CREATE ROLE {}").format(name))
                conn.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(name))
    with psycopg_connect(**source, autocommit=True, options=OPTIONS) as conn:
        conn.execute(MIXED.read_bytes())
    return {"source": source, "target": target}
