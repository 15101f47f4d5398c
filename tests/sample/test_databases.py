"""Each database as it is loaded: by an admin that is no superuser, complete, and owned properly."""

import psycopg
import pytest

from localcloud.errors import LocalCloudError, NotFound
from localcloud.sample.databases import DATABASES, select
from localcloud.sample.load import load, load_one
from localcloud.sample.places import Places

pytestmark = pytest.mark.postgres

BY_NAME = {database.name: database for database in DATABASES}
NAMES = sorted(BY_NAME)

# As a service, through its own log-in, would count them.
ROWS = {
    ("shop", "catalog.products"): 2000,
    ("shop", "sales.customers"): 50000,
    ("shop", "reporting.best_months"): 3,
    ("identity", "identity.tenants"): 200,
    ("flights", "airlines"): 16,
    ("flights", "airports"): 1458,
    ("flights", "planes"): 3322,
    ("flights", "weather"): 26115,
    ("flights", "flights"): 336776,
    ("flights", "cancelled"): 8255,
    ("flights", "route_delays"): 224,
    ("media", "assets"): 160,
    ("media", "previews"): 640,
    ("metrics", "metrics.series"): 500,
    ("metrics", "metrics.samples WHERE batch IS NULL"): 2500100,
    ("metrics", "archive.samples_2024_02"): 198500,
    ("metrics", "metrics.events WHERE batch IS NULL"): 300000,
    ("legacy", '"Billing"."Customers"'): 5000,
}

# As the admin: kinds of objects that a copy has to know, and at least how many there are.
KINDS = """
SELECT relkind::text || relpersistence::text, count(*) FROM pg_class
 WHERE relnamespace::regnamespace::text !~ '^(pg_|information_schema)' GROUP BY 1
"""

STRANGERS = """
SELECT c.oid::regclass::text, c.relowner::regrole::text
  FROM pg_class AS c
 WHERE c.oid >= 16384 AND c.relnamespace::regnamespace::text !~ '^pg_'
   AND c.relowner <> %s::regrole
   AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
"""

SUPERUSER = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"


@pytest.fixture
def admin(sample):
    """Return a function that opens a session of the admin's in a database of the sample."""
    sessions = []

    def connect(name):
        server = {**sample, "dbname": BY_NAME[name].dbname}
        sessions.append(psycopg.connect(**server, autocommit=True))
        return sessions[-1]

    yield connect
    for session in sessions:
        session.close()


@pytest.fixture
def service(sample, loaded_places):
    """Return a function that opens a session as a database's service."""
    sessions = []

    def connect(name):
        database = BY_NAME[name]
        password = loaded_places.password(database.app).read_text()
        login = {"dbname": database.dbname, "user": database.app, "password": password}
        sessions.append(psycopg.connect(**{**sample, **login}, autocommit=True))
        return sessions[-1]

    yield connect
    for session in sessions:
        session.close()


def value(conn, query, *values):
    return conn.execute(query, values).fetchone()[0]


@pytest.mark.parametrize("name,table", ROWS)
def test_a_service_finds_its_rows(service, name, table):
    assert value(service(name), f"SELECT count(*) FROM {table}") == ROWS[name, table]


@pytest.mark.parametrize("name", NAMES)
def test_everything_belongs_to_the_owner_and_nobody_is_superuser(admin, name):
    conn = admin(name)
    assert not value(conn, SUPERUSER)
    assert conn.execute(STRANGERS, [BY_NAME[name].owner]).fetchall() == []
    query = "SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()"
    assert value(conn, query) == BY_NAME[name].owner


@pytest.mark.parametrize("name", NAMES)
def test_a_service_is_let_in_to_its_own_database_and_owns_nothing(service, admin, name):
    conn = service(name)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("CREATE SCHEMA mine")
    others = [other for other in BY_NAME.values() if other.name not in (name, "flights", "media")]
    query = "SELECT array_agg(datname) FROM pg_database WHERE datname = ANY(%s) AND"
    dbnames = [other.dbname for other in others]
    open_to_it = f"{query} has_database_privilege(%s, oid, 'CONNECT')"
    assert value(conn, open_to_it, dbnames, BY_NAME[name].app) is None


def test_every_kind_of_relation_is_there(admin):
    found = {}
    for name in NAMES:
        for kind, count in admin(name).execute(KINDS):
            found[kind] = found.get(kind, 0) + count
    # r table, p partitioned, S sequence, v view, m matview, i index, I of a partitioned one,
    # c composite; p permanent, u unlogged
    assert set(found) >= {"rp", "ru", "pp", "Sp", "vp", "mp", "ip", "iu", "Ip", "cp"}
    assert found["Sp"] > 15


def test_the_shop_holds_totals_that_its_lines_add_up_to(admin):
    query = """
    SELECT count(*) FROM sales.orders AS o
    JOIN (SELECT order_id, sum(amount) AS total FROM sales.order_lines GROUP BY 1) AS l
      ON l.order_id = o.order_id AND l.total = o.total
    """
    assert value(admin("shop"), query) == value(admin("shop"), "SELECT count(*) FROM sales.orders")


def test_flights_has_a_key_that_holds_for_new_rows_only(admin):
    conn = admin("flights")
    query = "SELECT array_agg(conname) FROM pg_constraint WHERE NOT convalidated"
    assert value(conn, query) == ["flights_dest_fkey"]
    query = "SELECT count(*) FROM flights WHERE dest NOT IN (SELECT faa FROM airports)"
    assert value(conn, query) == 7602


def test_media_has_large_objects_of_two_owners_whose_bytes_are_right(admin):
    conn = admin("media")
    query = "SELECT count(*) FROM assets WHERE sha256(lo_get(content)) = sha256"
    assert value(conn, query) == 160
    query = "SELECT array_agg(DISTINCT lomowner::regrole::text) FROM pg_largeobject_metadata"
    assert value(conn, query) == ["media_app", "media_owner"]
    query = "SELECT count(*) FROM pg_description WHERE classoid = 'pg_largeobject'::regclass"
    assert value(conn, query) == 18
    assert value(conn, "SELECT length(lo_get(77000003))") == 5000007


def test_metrics_is_partitioned_at_two_levels_and_has_a_table_without_a_key(admin):
    conn = admin("metrics")
    query = "SELECT count(*) FROM pg_partition_tree('metrics.samples') WHERE isleaf"
    assert value(conn, query) == 15
    query = "SELECT max(level) FROM pg_partition_tree('metrics.samples')"
    assert value(conn, query) == 2
    query = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'metrics.events'::regclass"
    assert value(conn, f"{query} AND contype IN ('p', 'u')") == 0
    size = "SELECT pg_database_size(current_database())"
    assert 200e6 < value(conn, size) < 350e6


def test_legacy_holds_the_values_that_break_copies(admin):
    conn = admin("legacy")
    assert value(conn, "SHOW IntervalStyle") == "sql_standard"
    query = 'SELECT array_agg("numeric"::text ORDER BY id) FROM "Billing"."Every Type"'
    assert value(conn, query)[1:] == ["NaN", "Infinity", "-Infinity"]
    query = """SELECT array_agg(a.atttypid::regtype::text) FROM pg_attribute AS a
    WHERE a.attrelid = '"Billing"."Every Type"'::regclass AND a.attnum > 0"""
    assert set(value(conn, query)) >= {
        "numeric", "money", "interval", "timestamp with time zone", "integer[]", "tstzrange",
        "int4multirange", "xml", "inet", "bit", "tsvector", "json", "jsonb", "hstore", "pg_lsn",
        '"Address"', '"Address"[]',
    }  # fmt: skip


def test_legacy_has_a_sequence_of_each_kind_in_each_state(admin):
    query = """
    SELECT sequencename, data_type::text, increment_by < 0, cycle, last_value
      FROM pg_sequences WHERE schemaname = 'Billing'
    """
    found = {name: rest for name, *rest in admin("legacy").execute(query)}
    assert found["Countdown"] == ["bigint", True, False, found["Countdown"][-1]]
    assert found["Countdown"][-1] <= -40000
    assert found["Shelf"][:3] == ["bigint", False, True]
    assert found["Small"] == ["smallint", False, False, None]  # set, not called
    assert found["Never Called"] == ["bigint", False, False, None]
    assert found["Exhausted"] == ["smallint", False, False, 3]


def test_loading_again_changes_nothing(sample, loaded_places):
    loaded = load(sample, DATABASES, loaded_places)
    assert [each.changed for each in loaded] == [False] * len(DATABASES)
    assert [each.name for each in loaded] == [each.name for each in DATABASES]


def test_a_load_that_was_killed_is_finished_by_the_next(target_server, target, tmp_path):
    places, media = Places(tmp_path), select(["media"])
    load(target_server.admin, media, places)
    with psycopg.connect(**target_server.admin, autocommit=True) as conn:
        # What a kill leaves: a database without its content, under a name that does not count.
        conn.execute(f'ALTER DATABASE media RENAME TO "{media[0].unfinished}"')
    assert load(target_server.admin, media, places)[0].changed
    with psycopg.connect(**target_server.admin, autocommit=True) as conn:
        found = {name for (name,) in conn.execute("SELECT datname FROM pg_database")}
    assert "media" in found
    assert media[0].unfinished not in found


def test_loading_again_by_request_replaces_a_database(target_server, target, tmp_path):
    [media] = select(["media"])
    load(target_server.admin, [media], Places(tmp_path))
    with psycopg.connect(**{**target_server.admin, "dbname": "media"}, autocommit=True) as conn:
        conn.execute("DELETE FROM blobs")
        assert load_one(target_server.admin, media, again=True).changed
    with psycopg.connect(**{**target_server.admin, "dbname": "media"}, autocommit=True) as conn:
        assert value(conn, "SELECT count(*) FROM blobs") == 6


@pytest.mark.slow
@pytest.mark.target_major(15)
@pytest.mark.parametrize("name", ["identity", "media", "legacy"])
def test_an_older_major_takes_it_too(target_server, target, tmp_path, name):
    assert load(target_server.admin, select([name]), Places(tmp_path))[0].changed


def test_a_wrong_password_is_told_in_a_sentence_without_it(sample, tmp_path):
    server = {**sample, "password": "wrong-hunter2"}
    with pytest.raises(LocalCloudError, match="password authentication failed") as raised:
        load(server, select(["media"]), Places(tmp_path))
    assert "hunter2" not in str(raised.value)


def test_an_unknown_database_is_refused_with_those_there_are():
    with pytest.raises(NotFound, match="no database 'shopp' in the sample; there are: metrics"):
        select(["shop", "shopp"])
