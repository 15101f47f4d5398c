"""Replica identities on real servers: given, remembered, put back."""

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.module_utils import errors
from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import identity
from ansible_collections.landbridge.migration.plugins.module_utils.waiting import Deadline

pytestmark = pytest.mark.postgres

TABLES = """
CREATE TABLE public.keyed (id int PRIMARY KEY);
CREATE TABLE public.indexed (a int NOT NULL, b int NOT NULL, c int);
CREATE UNIQUE INDEX wide ON public.indexed (a, b);
CREATE UNIQUE INDEX narrow ON public.indexed (b) INCLUDE (c);
CREATE UNIQUE INDEX nullable ON public.indexed (c);
CREATE UNIQUE INDEX partial ON public.indexed (a) WHERE a > 0;
CREATE UNIQUE INDEX expression ON public.indexed ((a + 1));
CREATE TABLE public.late (id int PRIMARY KEY DEFERRABLE);
CREATE TABLE public.bare (t text, g int GENERATED ALWAYS AS (1) STORED);
CREATE TABLE public.silent (id int PRIMARY KEY);
ALTER TABLE public.silent REPLICA IDENTITY NOTHING;
CREATE TYPE public.pair AS (j json, n int);
CREATE DOMAIN public.document AS json;
CREATE TABLE public.odd (a json[], b xml, c point, d public.pair, e public.document, f jsonb,
  g varchar(3), h int[], i "char", k bit(3));
CREATE UNLOGGED TABLE public.fleeting (id int);
CREATE TABLE public.parted (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE public.leaf PARTITION OF public.parted DEFAULT;
"""
IDENTITIES = """
SELECT c.relname, c.relreplident::text || coalesce(' ' || x.relname, '')
  FROM pg_class c
  LEFT JOIN pg_index ON indrelid = c.oid AND indisreplident
  LEFT JOIN pg_class x ON x.oid = indexrelid
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"""


@pytest.fixture
def conn(source):
    with connect("source", source) as conn:
        conn.execute(TABLES)
        yield conn


def identities(conn):
    return dict(conn.execute(IDENTITIES).fetchall())


@pytest.mark.parametrize(
    "major", [pytest.param(m, marks=pytest.mark.source_major(m)) for m in (17, 13)]
)
def test_every_table_gets_one_and_has_its_own_again_afterwards(conn, major):
    before = identities(conn)
    changes = identity.plan(identity.read(conn))
    assert identities(conn) == before
    identity.converge(conn, changes, Deadline(30))
    assert identities(conn) == before | {
        "indexed": "i narrow", "late": "f", "bare": "f", "silent": "d", "odd": "f", "leaf": "f",
    }  # fmt: skip
    assert identity.plan(identity.read(conn)) == []
    conn.execute("DROP TABLE public.bare")
    assert identity.restore(conn, Deadline(30)) == len(changes)
    assert identities(conn) == {n: i for n, i in before.items() if n != "bare"}
    assert identity.restore(conn, Deadline(30)) == 0


def test_the_server_tells_which_types_have_no_equality(conn):
    odd = [table for table in identity.read(conn) if table.name.relname == "odd"]
    assert identity.read_incomparable(conn, odd) == {
        "json[]", "xml", "point", "public.pair", "public.document",
    }  # fmt: skip
    keyed = [table for table in identity.read(conn) if table.name.relname == "keyed"]
    assert identity.read_incomparable(conn, keyed) == set()


def test_an_index_that_is_gone_since_is_not_missed(conn):
    conn.execute("ALTER TABLE public.indexed REPLICA IDENTITY USING INDEX wide")
    identity.remember(
        conn, [identity.Remembered(identity.Name("public", "indexed"),
                                   identity.Identity("i", "gone"), True, False)]
    )  # fmt: skip
    identity.restore(conn, Deadline(30))
    assert identities(conn)["indexed"] == "d"


def test_a_table_in_use_is_waited_for_and_holds_nobody_up(conn, source):
    changes = identity.plan(identity.read(conn))
    with psycopg.connect(**source) as reader:
        reader.execute("SELECT FROM public.late")
        with pytest.raises(errors.DeadlineError, match=r"1 are in use|[2-6] are in use"):
            identity.converge(conn, changes, Deadline(1))
    identity.converge(conn, changes, Deadline(30))
    assert identity.plan(identity.read(conn)) == []
