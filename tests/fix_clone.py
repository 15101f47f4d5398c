"""What tests of a copy share: a mixed database, and looking at both sides from outside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from psycopg import connect as psycopg_connect
from psycopg import sql

from ansible_collections.landbridge.migration.plugins.module_utils.pg import binaries

MIXED = Path(__file__).parent / "fixtures" / "clone" / "mixed.sql"
COLLECTIONS = Path(__file__).parent.parent / "collections"
ROLES = ("clone_owner", "clone_app", "clone_reader", "clone_old")

TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
 WHERE relkind IN ('r', 'm') AND relispopulated
   AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'landbridge')
 ORDER BY 1"""
CHECKSUM = """
SELECT count(*), sum(('x' || left(md5(t::text), 15))::bit(60)::bigint) FROM ONLY {} t"""
OBJECTS = """
SELECT oid, lomacl::text, pg_get_userbyid(lomowner), md5(lo_get(oid)),
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


# A copy stops at one row, or an index build, for as long as a test holds the target's lock.
GATED = """
CREATE FUNCTION public.gate(n integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF n = 20000 THEN PERFORM pg_advisory_xact_lock_shared(42); END IF;
  RETURN n;
END $$;
CREATE TABLE public.first AS SELECT n, repeat('x', 300) AS filler FROM generate_series(1, 9000) n;
CREATE UNLOGGED TABLE public.fleeting AS SELECT n FROM generate_series(1, 10) n;
CREATE TABLE public.small AS SELECT n FROM generate_series(1, 10) n;
CREATE TABLE public.big (n integer {check}, filler text);
INSERT INTO public.big SELECT n, repeat('x', 100) FROM generate_series(1, 200000) n;
ALTER TABLE public.first ADD PRIMARY KEY (n);
ALTER TABLE public.big ADD PRIMARY KEY (n);
ALTER TABLE public.small ADD FOREIGN KEY (n) REFERENCES public.first;
"""
CHECKED = "CHECK (public.gate(n) > 0)"
INDEXED = "CREATE INDEX slow ON public.big (public.gate(n))"

AT_GATE = """
SELECT count(*) FROM pg_stat_activity
 WHERE wait_event = 'advisory' AND datname = current_database()"""
PARTS_DONE = "SELECT count(finished) FROM landbridge.part"

RUN = """
import json, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.landbridge.migration.plugins.modules import {module}
with patch_module_args(json.load(sys.stdin)):
    {module}.main()
"""


@pytest.fixture
def gated(source, target, as_superuser):
    """A pair whose big table stops in the middle while the lock that is yielded with it is held."""
    with psycopg_connect(**source, autocommit=True) as conn:
        conn.execute(GATED.format(check=CHECKED))
    with as_superuser(target) as conn:
        conn.execute("SELECT pg_advisory_lock(42)")
        yield {"source": source, "target": target}, conn


@pytest.fixture
def started():
    """Return a function: a module in a process of its own that does not outlive the test."""
    children = []

    def start(module="pg_clone", **params):
        child = subprocess.Popen(
            [sys.executable, "-c", RUN.format(module=module)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
        )  # fmt: skip
        children.append(child)
        child.stdin.write(json.dumps(params))
        child.stdin.close()
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.fixture
def waiting(as_superuser, eventually):
    """Return a function that waits until a copy stands at its gate, and all else is done."""

    def wait(target, parts=2):
        with as_superuser(target) as conn:
            eventually(lambda: conn.execute(AT_GATE).fetchone()[0], timeout=60)
            eventually(lambda: conn.execute(PARTS_DONE).fetchone()[0] >= parts, timeout=60)

    return wait


def processes_of(server):
    """Return the psql and pg_dump processes that work on a server dict's database."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            argv = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        named = any(f"dbname={server['dbname']}" in each for each in argv)
        if named and Path(argv[0]).name in ("psql", "pg_dump"):
            found.append(argv)
    return found
