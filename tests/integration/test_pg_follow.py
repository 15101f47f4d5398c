"""pg_follow against real servers whose sources are written to all the time."""

import pytest

from ansible_collections.landbridge.migration.plugins.modules import pg_follow

pytestmark = pytest.mark.postgres

# Not carried by replication: what else differs would be a loss.
NOT_FOLLOWED = {"shop.unlogged", "shop.first_level", "shop.a_second_level"}

CATALOG = """
SELECT 'publication', pubname::text FROM pg_publication
UNION ALL SELECT 'slot', slot_name::text FROM pg_replication_slots
           WHERE database = current_database()
UNION ALL SELECT 'subscription', subname::text FROM pg_subscription
UNION ALL SELECT 'role', rolname::text FROM pg_roles
UNION ALL SELECT 'schema', nspname::text FROM pg_namespace WHERE nspname !~ '^pg_'
UNION ALL SELECT 'identity', c.oid::regclass || c.relreplident::text
            FROM pg_class c
           WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text !~ '^pg_'
UNION ALL SELECT 'identity index', indexrelid::regclass::text FROM pg_index WHERE indisreplident
 ORDER BY 1, 2"""


@pytest.fixture
def catalog(as_superuser):
    """Return a function: what a database and its server have that following could leave behind."""

    def read(server):
        with as_superuser(server) as conn:
            return conn.execute(CATALOG).fetchall()

    return read


@pytest.fixture
def rows_of(contents_of):
    """Return a function: the checksums of the tables that are followed."""

    def read(server):
        tables, _sequences, _objects = contents_of(server)
        return {name: found for name, found in tables.items() if name not in NOT_FOLLOWED}

    return read


@pytest.mark.parametrize(
    "majors",
    [
        pytest.param("17 to 17"),
        pytest.param("15 to 17", marks=pytest.mark.source_major(15)),
        pytest.param("13 to 17", marks=pytest.mark.source_major(13)),
        pytest.param("17 to 18", marks=pytest.mark.target_major(18)),
    ],
)
def test_all_that_is_written_meanwhile_arrives_and_nothing_is_left_behind(
    followed, run_module, writing, arrived, rows_of, schema_of, catalog, absent, majors
):
    before = catalog(followed["source"])
    with writing(followed["source"]) as writer:
        first = run_module(pg_follow, **followed)
        assert first.get("state") == "following", first
        assert first["changed"] is True
        begun = writer.count
        second = run_module(pg_follow, **followed)
    assert writer.count > begun > 0
    assert (second["changed"], second["state"]) == (False, "following"), second
    assert second["evidence"]["rows"] == first["evidence"]["rows"] > 90_000
    assert second["diff"]["before"] == second["diff"]["after"]
    arrived(followed["source"])
    assert rows_of(followed["target"]) == rows_of(followed["source"])
    removed = absent(followed)
    assert (removed["changed"], removed["state"]) == (True, "absent"), removed
    assert catalog(followed["source"]) == before
    assert absent(followed)["changed"] is False
    if majors == "17 to 17":
        assert schema_of(followed["target"]) == schema_of(followed["source"])
