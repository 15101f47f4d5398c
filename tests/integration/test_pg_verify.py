"""pg_verify against real servers: equal databases are equal, and every difference is named."""

import json
import time
from threading import Thread

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.modules import pg_verify

pytestmark = pytest.mark.postgres

GENERATED = "doubled int GENERATED ALWAYS AS (id * 2) STORED"
OLD_TRIGGER = "PROCEDURE stamp();"

TYPES = """
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TYPE pair AS (a float8, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE kinds (
  id int PRIMARY KEY, t text, v varchar(10), c char(5), n numeric, f4 float4, f8 float8,
  b bytea, j json, jb jsonb, ts timestamptz, d date, i interval, u uuid, ok bool, e colour,
  p pair, ps pair[], r int4range, na numeric[], ta text[], dm positive, m money, bits bit varying,
  ip inet, tsv tsvector, pt point, x xml, doubled int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO kinds (id, t, v, c, n, f4, f8, b, j, jb, ts, d, i, u, ok, e, p, ps, r, na, ta, dm, m,
                   bits, ip, tsv, pt, x)
SELECT g, CASE g % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN 'NULL' ELSE 'a,b"(\\' || g END,
       'v' || g, 'c', g / 7.0, g / 3.0, g / 3.0::float8, decode(md5(g::text), 'hex'),
       '{"b": 1,   "a": 2}', '{"b": 1, "a": [1.50]}', '2024-03-31 01:30+00'::timestamptz
       + g * interval '1 hour', '2024-02-29', '1 mon 2 days 03:04:05', md5(g::text)::uuid,
       g % 2 = 0, 'green', ROW(g / 3.0::float8, 'x')::pair,
       ARRAY[ROW(0.1::float8, NULL::text)::pair], int4range(1, g + 1),
       ARRAY[1.10, NULL], ARRAY['NULL', NULL, ''], g, 12.34::numeric::money, B'1011', '10.0.0.1/8',
       to_tsvector('simple', 'a b'), '(0.1,-0)', '<a/>'
  FROM generate_series(1, 500) g;
INSERT INTO kinds (id, t, b, j) SELECT n, string_agg(md5(g::text), '' ORDER BY g),
       decode(string_agg(md5(g::text), '' ORDER BY g), 'hex'),
       to_json(string_agg(md5(g::text), '' ORDER BY g))
  FROM generate_series(1, 5000) g, generate_series(501, 502) n GROUP BY n;
"""

SCHEMA = """
CREATE SCHEMA "Odd ""name";
CREATE TABLE "Odd ""name"."t%s;--" ("Key one" int, "key.two" text, "select" text,
                                   PRIMARY KEY ("Key one", "key.two"));
CREATE TABLE notes (at timestamptz, what text);
CREATE TABLE nothing ();
CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL,
                        mail text, credit numeric DEFAULT 0, city text, country text);
CREATE INDEX customers_city ON customers (city);
CREATE TABLE orders (id int PRIMARY KEY, customer bigint REFERENCES customers,
                     total numeric(12, 2));
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_2024 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE VIEW rich AS SELECT c.id, c.name, date_part('year', now()) AS "Year" FROM customers c
  JOIN orders o ON o.customer = c.id WHERE o.total > 100;
CREATE MATERIALIZED VIEW totals AS SELECT o.customer, sum(o.total) FROM orders o GROUP BY 1;
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER stamped BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE STATISTICS customers_place ON city, country FROM customers;
CREATE RULE quiet AS ON DELETE TO notes DO INSTEAD NOTHING;
CREATE POLICY own ON customers USING (id > 0);
CREATE SEQUENCE tickets INCREMENT 5 CYCLE;
COMMENT ON TABLE customers IS 'who buys';
"""

ROWS = """
INSERT INTO customers OVERRIDING SYSTEM VALUE
SELECT g, 'name ' || g, CASE WHEN g %% 2 = 0 THEN '' END, 1.50, 'city', 'country'
  FROM generate_series(1, 3000) g ORDER BY {order};
INSERT INTO orders SELECT g, g, g FROM generate_series(1, 500) g;
INSERT INTO parted SELECT g, '2024-05-01' FROM generate_series(1, 10) g;
INSERT INTO notes SELECT '2024-01-01', 'note ' || g %% 10 FROM generate_series(1, 200) g
 ORDER BY {order};
INSERT INTO nothing SELECT FROM generate_series(1, 3);
INSERT INTO "Odd ""name"."t%%s;--" SELECT g, 'k' || g, 'v' FROM generate_series(1, 20) g;
REFRESH MATERIALIZED VIEW totals;
SELECT lo_from_bytea(4711, 'picture'), lo_from_bytea(4712, ''), setval('tickets', 42);
"""


@pytest.fixture
def pair(source, target, source_major):
    """Two databases with the same rows; the target's lie in another order."""
    schema = SCHEMA + TYPES
    if source_major < 12:
        schema = schema.replace(GENERATED, "doubled int").replace("FUNCTION stamp();", OLD_TRIGGER)
    for server, order in ((source, "g"), (target, "md5(g::text)")):
        with connect("test", server) as conn:
            conn.execute("SET search_path = public")
            conn.execute(schema + ROWS.replace("%%", "%").format(order=order))
    return {"source": source, "target": target}


@pytest.fixture
def verify(pair, run_module):
    """Return a function that changes the target and returns what pg_verify says then."""

    def run(*changes, **params):
        with connect("test", pair["target"]) as conn:
            conn.execute("SET search_path = public")
            for change in changes:
                conn.execute(change)
        return run_module(pg_verify, **pair, **params)

    return run


def differing_rows(result):
    """Return the rows named, by table."""
    return {each["table"]: each["rows"] for each in result["evidence"]["differing"]}


def test_equal_databases_are_equal_though_their_rows_lie_in_another_order(verify):
    evidence = verify()["evidence"]
    assert evidence["equal"]
    assert (evidence["differing"], evidence["catalog"]["differences"]) == ([], [])
    assert (evidence["algorithm"], evidence["tables_compared"]) == ("sha256", 8)
    assert evidence["rows"] == 3000 + 500 + 10 + 200 + 3 + 20 + 502 + 500
    assert evidence["large_objects"]["compared"] == 2
    assert evidence["sequences"]["compared"] == 2
    assert evidence["catalog"]["objects"]["view"] == 1


def test_an_xml_declaration_that_no_copy_carries_is_no_difference(verify, pair):
    with connect("test", pair["source"]) as conn:
        conn.execute("""UPDATE public.kinds SET x = '<?xml version="1.0"?><a/>' WHERE id = 500""")
        copied = conn.execute("SELECT xml_out(x) FROM public.kinds WHERE id = 500").fetchone()
    assert copied == ("<a/>",)
    assert verify()["evidence"]["equal"]


def majors(source, target, *marks):
    pair = (pytest.mark.source_major(source), pytest.mark.target_major(target))
    return pytest.param(source, id=f"{source}-{target}", marks=[*pair, *marks])


@pytest.mark.parametrize(
    "major",
    [
        majors(15, 17),
        *(majors(older, 17, pytest.mark.slow) for older in (10, 11, 12, 13, 14, 16)),
        majors(17, 18, pytest.mark.slow),
        majors(10, 13, pytest.mark.slow),
    ],
)
def test_equal_databases_of_two_majors_are_equal(major, verify):
    evidence = verify()["evidence"]
    assert evidence["catalog"]["differences"] == []
    assert evidence["equal"], evidence
    assert evidence["source_version"] // 10000 == major
    assert evidence["algorithm"] == ("md5" if major == 10 else "sha256")


@pytest.mark.slow
@pytest.mark.source_major(11)
def test_a_floats_last_digit_is_seen_where_the_source_would_not_write_it(verify):
    result = verify("UPDATE kinds SET f8 = f8 + 1e-16 WHERE id = 1")
    assert differing_rows(result) == {"public.kinds": ["id 1 (changed in f8)"]}


def test_settings_of_a_database_or_a_role_make_no_difference(verify, pair):
    dbname, user = pair["target"]["dbname"], pair["target"]["user"]
    settings = {
        "TimeZone": "'Asia/Kathmandu'",
        "DateStyle": "'SQL, DMY'",
        "IntervalStyle": "iso_8601",
        "array_nulls": "off",
        "bytea_output": "escape",
        "extra_float_digits": "0",
        "xmloption": "document",
    }
    changes = [f"ALTER DATABASE {dbname} SET {key} = {value}" for key, value in settings.items()]
    changes.append(f"ALTER ROLE {user} IN DATABASE {dbname} SET row_security = on")
    evidence = verify(*changes)["evidence"]
    assert evidence["equal"]
    assert evidence["catalog"]["notes_count"] == 2  # the settings are told, as notes


# What is done to the target, and how it is told.
PLANTED_ROWS = {
    "UPDATE customers SET name = 'x' WHERE id = 2718": "id 2718 (changed in name)",
    "UPDATE customers SET city = country, country = city WHERE id = 5": (
        "id 5 (changed in city, country)"
    ),
    "UPDATE customers SET mail = '' WHERE id = 7": "id 7 (changed in mail)",  # was NULL
    "UPDATE customers SET credit = 1.5 WHERE id = 11": "id 11 (changed in credit)",  # was 1.50
    "UPDATE kinds SET ta = ARRAY['NULL', 'NULL', ''] WHERE id = 7": "id 7 (changed in ta)",
    """UPDATE kinds SET j = '{"b": 1, "a": 2}' WHERE id = 3""": "id 3 (changed in j)",  # a blank
    "UPDATE kinds SET f8 = f8 + 1e-16 WHERE id = 1": "id 1 (changed in f8)",  # the last bit
    "UPDATE kinds SET pt = '(0.1,0)' WHERE id = 2": "id 2 (changed in pt)",  # was -0
    "UPDATE kinds SET i = '32 days 03:04:05' WHERE id = 5": "id 5 (changed in i)",
    "UPDATE kinds SET t = left(t, -1) || 'x' WHERE id = 501": "id 501 (changed in t)",
    "UPDATE kinds SET b = b || '\\x00' WHERE id = 502": "id 502 (changed in b)",
    "DELETE FROM orders WHERE id = 77": "id 77 (missing)",
    "INSERT INTO orders VALUES (501, 501, 1)": "id 501 (extra)",
    """UPDATE "Odd ""name"."t%s;--" SET "select" = NULL WHERE "Key one" = 9""": (
        "Key one 9, key.two k9 (changed in select)"
    ),
}


def test_every_row_that_differs_is_named(verify):
    result = verify(*PLANTED_ROWS)
    assert result["error"]["code"] == "not_converged"
    named = [row for rows in differing_rows(result).values() for row in rows]
    assert sorted(named) == sorted(PLANTED_ROWS.values())
    assert differing_rows(result).keys() == {
        "public.customers",
        "public.kinds",
        "public.orders",
        '"Odd ""name"."t%s;--"',
    }
    assert result["evidence"]["catalog"]["differences"] == []


@pytest.mark.parametrize("change", PLANTED_ROWS, ids=PLANTED_ROWS.values())
@pytest.mark.slow
def test_a_single_row_that_differs_is_a_failure(change, verify):
    result = verify(change)
    assert result["failed"]
    assert list(differing_rows(result).values()) == [[PLANTED_ROWS[change]]]


def test_rows_of_partitions_and_of_tables_without_columns_are_compared(verify):
    result = verify(
        "UPDATE parted SET at = '2024-05-02' WHERE id = 3", "INSERT INTO nothing DEFAULT VALUES"
    )
    assert differing_rows(result).keys() == {"public.parted_2024", "public.nothing"}
    assert "public.nothing has 3 rows on the source and 4 on the target" in result["msg"]


def test_a_row_doubled_in_a_table_without_a_key_is_named(verify):
    result = verify("INSERT INTO notes SELECT * FROM notes LIMIT 1")
    [row] = differing_rows(result)["public.notes"]
    assert "on the target" in row
    assert "copies 20 on the source, 21 on the target (extra)" in row


def test_one_row_exchanged_for_another_in_a_table_without_a_key_is_named(verify):
    first = "SELECT min(ctid) FROM notes WHERE what = 'note 2'"
    result = verify(f"UPDATE notes SET what = 'note 1' WHERE ctid = ({first})")
    assert len(differing_rows(result)["public.notes"]) == 2


FOREIGN_KEY = "FOREIGN KEY (customer) REFERENCES public.customers(id)"

# What is done to the target, and how it is told.
PLANTED_OBJECTS = {
    "DROP INDEX customers_city": "index public.customers_city is missing on the target",
    "ALTER TABLE orders DISABLE TRIGGER stamped": (
        "trigger public.orders.stamped: enabled is O on the source and D on the target"
    ),
    "ALTER TABLE customers ALTER credit SET DEFAULT 1": (
        "column public.customers.credit: default is 0 on the source and 1 on the target"
    ),
    "ALTER TABLE customers ALTER name DROP NOT NULL": (
        "column public.customers.name: not null is True on the source and not set on the target"
    ),
    "ALTER TABLE customers ALTER city SET STORAGE EXTERNAL": (
        "column public.customers.city: storage is not set on the source and e on the target"
    ),
    "ALTER TABLE customers ALTER id SET GENERATED BY DEFAULT": (
        "column public.customers.id: identity is a on the source and d on the target"
    ),
    'ALTER TABLE notes ALTER what TYPE text COLLATE "C"': (
        "column public.notes.what: collation is not set on the source"
        " and ['pg_catalog', 'C'] on the target"
    ),
    "ALTER TABLE kinds ALTER v TYPE varchar(20)": (
        "column public.kinds.v: type is character varying(10) on the source"
        " and character varying(20) on the target"
    ),
    "ALTER TABLE orders DROP CONSTRAINT orders_customer_fkey; ALTER TABLE orders"
    " ADD CONSTRAINT orders_customer_fkey FOREIGN KEY (customer) REFERENCES customers NOT VALID": (
        f"constraint public.orders.orders_customer_fkey: definition is {FOREIGN_KEY} on the source"
        f" and {FOREIGN_KEY} NOT VALID on the target"
    ),
    "GRANT SELECT ON customers TO PUBLIC": (
        "table public.customers: acl is without these grants on the source"
        " and PUBLIC=SELECT on the target"
    ),
    "GRANT UPDATE (mail) ON customers TO PUBLIC": (
        "column public.customers.mail: acl is without these grants on the source"
        " and PUBLIC=UPDATE on the target"
    ),
    "REVOKE EXECUTE ON FUNCTION stamp() FROM PUBLIC": (
        "function public.stamp(): acl is PUBLIC=EXECUTE on the source"
        " and without these grants on the target"
    ),
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC": (
        "default privileges landbridge_admin.public.r is only on the target"
    ),
    "DROP VIEW rich": "view public.rich is missing on the target",
    "DROP POLICY own ON customers": "policy public.customers.own is missing on the target",
    "ALTER TABLE orders ENABLE ROW LEVEL SECURITY": (
        "table public.orders: row security is not set on the source and True on the target"
    ),
    "DROP RULE quiet ON notes": "rule public.notes.quiet is missing on the target",
    "COMMENT ON TABLE customers IS NULL": (
        "comment table.public.customers is missing on the target"
    ),
    "DROP STATISTICS customers_place": (
        "statistics object public.customers_place is missing on the target"
    ),
    "ALTER TABLE parted_2024 REPLICA IDENTITY FULL": (
        "table public.parted_2024: replica identity is not set on the source and f on the target"
    ),
    "ALTER TYPE colour ADD VALUE 'blue'": (
        "type public.colour: labels is ['red', 'green'] on the source"
        " and ['red', 'green', 'blue'] on the target"
    ),
    "ALTER DOMAIN positive DROP CONSTRAINT positive_check": (
        "constraint public.positive.positive_check is missing on the target"
    ),
    "ALTER TABLE parted_2024 SET (fillfactor = 70)": (
        "table public.parted_2024: options is not set on the source"
        " and ['fillfactor=70'] on the target"
    ),
    "ALTER TABLE nothing SET UNLOGGED": (
        "table public.nothing: persistence is not set on the source and u on the target"
    ),
    "ALTER SEQUENCE tickets INCREMENT 4": (
        "sequence public.tickets: sequence is"
        " ['bigint', 1, 5, 1, 9223372036854775807, 1, True] on the source and"
        " ['bigint', 1, 4, 1, 9223372036854775807, 1, True] on the target"
    ),
    "CREATE TABLE more ()": "table public.more is only on the target",
    "ALTER MATERIALIZED VIEW totals RENAME TO sums": (
        "materialized view public.sums is only on the target"
    ),
}


def test_every_object_that_differs_is_named(verify):
    evidence = verify(*PLANTED_OBJECTS)["evidence"]
    renamed = [
        "column public.sums.customer is only on the target",
        "column public.sums.sum is only on the target",
        "column public.totals.customer is missing on the target",
        "column public.totals.sum is missing on the target",
        "materialized view public.totals is missing on the target",
    ]
    lost = [
        f"column public.rich.{name} is missing on the target" for name in ("id", "name", '"Year"')
    ]
    expected = [*PLANTED_OBJECTS.values(), *renamed, *lost]
    assert sorted(evidence["catalog"]["differences"]) == sorted(expected)
    assert evidence["differing_count"] == 0


@pytest.mark.parametrize(
    "change, named",
    [
        pytest.param(
            "CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN OLD; END'",
            "function public.stamp(): body is sha256:",
            id="function",
        ),
        pytest.param(
            'CREATE OR REPLACE VIEW rich AS SELECT id, name, 0::float8 AS "Year" FROM customers',
            "view public.rich: definition is",
            id="view",
        ),
    ],
)
@pytest.mark.source_major(15)
def test_code_that_differs_is_named_between_two_majors(change, named, verify):
    [difference] = verify(change)["evidence"]["catalog"]["differences"]
    assert difference.startswith(named)


def test_a_sequence_that_stands_elsewhere_is_named(verify):
    result = verify("SELECT nextval('tickets')")
    moved = ["public.tickets is at 42, on the target at 47"]
    assert result["failed"]
    assert result["evidence"]["sequences"]["differing"] == moved


@pytest.mark.parametrize(
    "change, named",
    [
        pytest.param("SELECT lo_unlink(4712)", "oid 4712 (missing)", id="lost"),
        pytest.param("SELECT lo_put(4711, 3, 'X')", "oid 4711 (changed in data)", id="changed"),
    ],
)
def test_a_large_object_that_differs_is_named(change, named, verify):
    result = verify(change)
    assert result["failed"]
    assert result["evidence"]["large_objects"]["differing"] == [named]


def test_one_row_in_a_hundred_thousand_is_found(verify, pair):
    big = """CREATE TABLE public.big AS
             SELECT md5(g::text)::uuid AS id, g AS n, repeat('x', 50) AS t
               FROM generate_series(1, 100000) g ORDER BY {};
             ALTER TABLE public.big ADD PRIMARY KEY (id); ANALYZE public.big"""
    with connect("test", pair["source"]) as conn:
        conn.execute(big.format("g"))
    change = "UPDATE big SET n = 0 WHERE n = 31415"
    result = verify(big.format("1"), change, chunk_rows=10000)
    assert result["evidence"]["chunks"] > 20
    [row] = differing_rows(result)["public.big"]
    assert row.endswith("(changed in n)")


def test_no_value_of_a_row_is_shown(verify):
    result = verify("UPDATE customers SET mail = 'secret@example' WHERE id = 1")
    assert result["failed"]
    assert "secret@example" not in json.dumps(result)


def test_many_differing_rows_are_counted_and_the_first_hundred_shown(verify):
    result = verify("UPDATE customers SET name = 'x'")
    [table] = result["evidence"]["differing"]
    assert (len(table["rows"]), table["rows_complete"]) == (100, True)
    assert table["rows_count"] == 3000
    assert len(json.dumps(result["evidence"])) < 20000


def test_a_difference_is_only_reported_when_not_strict(verify):
    result = verify("UPDATE customers SET name = 'x' WHERE id = 1", strict=False)
    assert not result.get("failed")
    assert result["evidence"]["equal"] is False


def test_the_order_of_columns_is_a_note(verify, pair):
    for server, columns in ((pair["source"], "a int, b text"), (pair["target"], "b text, a int")):
        with connect("test", server) as conn:
            conn.execute(f"CREATE TABLE public.swapped ({columns})")
            conn.execute("INSERT INTO public.swapped (a, b) VALUES (1, '2')")
    evidence = verify()["evidence"]
    assert evidence["equal"]
    assert any("column order" in note for note in evidence["catalog"]["notes"])


def test_a_stale_materialized_view_is_a_note(verify):
    evidence = verify(
        "UPDATE orders SET total = 0 WHERE id = 1",
        "REFRESH MATERIALIZED VIEW totals",
        "UPDATE orders SET total = 1 WHERE id = 1",
    )["evidence"]
    assert evidence["equal"]
    assert "materialized view public.totals" in evidence["catalog"]["notes"][0]


def test_nothing_compared_is_a_failure(source, target, run_module):
    with connect("test", source) as conn:
        conn.execute("CREATE TABLE public.lonely (id int)")
    result = run_module(pg_verify, source=source, target=target, strict=False)
    assert result["failed"]
    assert "nothing was compared" in result["msg"]


def test_two_empty_databases_are_equal(source, target, run_module):
    evidence = run_module(pg_verify, source=source, target=target)["evidence"]
    assert (evidence["equal"], evidence["tables_compared"]) == (True, 0)


def test_our_own_bookkeeping_does_not_count(verify):
    result = verify("CREATE SCHEMA landbridge", "CREATE TABLE landbridge.part (id int PRIMARY KEY)")
    assert result["evidence"]["equal"]


def test_only_the_tables_asked_for_are_read(verify):
    evidence = verify(tables=["public.orders"])["evidence"]
    assert (evidence["tables_compared"], evidence["rows"]) == (1, 500)


def test_a_table_asked_for_that_is_not_there_is_refused(verify):
    result = verify(tables=["public.nowhere"])
    assert result["msg"] == "source: there is no table public.nowhere"


def test_roles_are_compared_under_their_new_names(verify, pair, source_server, target_server):
    for server, name in ((source_server, "old_clerk"), (target_server, "new_clerk")):
        with connect("test", server.admin) as conn:
            conn.execute(f"CREATE ROLE {name}")
    with connect("test", pair["source"]) as conn:
        conn.execute("GRANT SELECT ON public.orders TO old_clerk; GRANT old_clerk TO CURRENT_USER")
        conn.execute("CREATE SCHEMA desk AUTHORIZATION old_clerk")
    changes = [
        "GRANT SELECT ON orders TO new_clerk",
        "GRANT new_clerk TO CURRENT_USER",
        "CREATE SCHEMA desk AUTHORIZATION new_clerk",
    ]
    assert verify(*changes)["failed"]
    assert verify(role_map={"old_clerk": "new_clerk"})["evidence"]["equal"]


def test_a_session_killed_on_one_side_fails_as_that_side_and_may_be_tried_again(
    verify, pair, target_server, eventually
):
    ours = "datname = %s AND application_name = 'landbridge'"
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

    terminate = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"

    def kill():
        with target_server.as_superuser() as conn:
            eventually(lambda: conn.execute(waiting).fetchone()[0])
            conn.execute(terminate, [pair["target"]["dbname"]])

    killer = Thread(target=kill)
    with target_server.as_superuser(pair["target"]["dbname"]) as locker, locker.transaction():
        locker.execute("LOCK TABLE public.customers IN ACCESS EXCLUSIVE MODE")
        killer.start()
        result = verify()
    killer.join()
    assert result["msg"].startswith("target: ")
    assert result["error"]["retryable"]


def test_an_error_on_one_side_ends_what_waits_on_the_other(
    verify, pair, source_server, target_server
):
    with target_server.as_superuser(pair["target"]["dbname"]) as conn:
        conn.execute("ALTER TABLE public.notes OWNER TO CURRENT_USER")
        conn.execute("REVOKE ALL ON public.notes FROM PUBLIC, landbridge_admin")
    # A table of an extension is read where the extension's condition holds: a slow one here.
    with source_server.as_superuser(pair["source"]["dbname"]) as conn:
        conn.execute(
            "UPDATE pg_extension SET extconfig = ARRAY['public.parted_2024'::regclass::oid],"
            " extcondition = ARRAY['WHERE pg_sleep(60) IS NULL'] WHERE extname = 'plpgsql'"
        )
    started = time.monotonic()
    result = verify(jobs=1)
    assert time.monotonic() - started < 60
    assert result["msg"] == "target: permission denied for table notes"


def test_texts_of_no_encoding_are_compared_byte_by_byte(
    source, target, source_server, target_server, run_module
):
    sides = {}
    for side, server, made in (
        ("source", source_server, source),
        ("target", target_server, target),
    ):
        sides[side] = {**made, "dbname": f"{made['dbname']}_ascii"}
        with connect("test", server.admin) as conn:
            conn.execute(
                f"CREATE DATABASE {sides[side]['dbname']} ENCODING 'SQL_ASCII' LOCALE 'C'"
                " TEMPLATE template0"
            )
        with connect("test", sides[side]) as conn:
            conn.execute("CREATE TABLE public.t (id int PRIMARY KEY, t text)")
            conn.execute("INSERT INTO public.t SELECT 1, convert_from('\\xff'::bytea, 'SQL_ASCII')")
    assert run_module(pg_verify, **sides)["evidence"]["equal"]
    with connect("test", sides["target"]) as conn:
        conn.execute("UPDATE public.t SET t = convert_from('\\xfe'::bytea, 'SQL_ASCII')")
    assert differing_rows(run_module(pg_verify, **sides)) == {"public.t": ["id 1 (changed in t)"]}


def test_progress_says_when_it_is_done(verify, tmp_path):
    path = tmp_path / "progress"
    verify(progress_path=str(path))
    last = json.loads(path.read_text().splitlines()[-1])
    assert (last["event"], last["parts_done"]) == ("done", last["parts_total"])
    assert path.stat().st_mode & 0o777 == 0o600
