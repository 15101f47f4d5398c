"""pg_rename against a real server."""

import pytest
from psycopg import sql

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.modules import pg_rename

pytestmark = pytest.mark.postgres


@pytest.fixture
def pair(source):
    """Two databases of odd names beside the source, dropped afterwards."""
    names = {source["dbname"] + suffix for suffix in (' a"b', "_back", "_until")}
    back = f"{source['dbname']}_back"
    first = f'{source["dbname"]} a"b'
    with connect("test", source) as conn:
        for name in (first, back):
            conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            conn.execute(
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                    sql.Identifier(name), sql.Literal(name)
                )
            )
    yield first, back
    with connect("test", source) as conn:
        for name in names:
            conn.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


def comments(source):
    with connect("test", source) as conn:
        return dict(
            conn.execute(
                "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database "
                "WHERE datname LIKE %s",
                [f"{source['dbname']}%"],
            ).fetchall()
        )


def test_a_database_takes_anothers_place_and_a_second_run_changes_nothing(source, pair, run_module):
    first, back = pair
    until = f"{source['dbname']}_until"
    wanted = [{"datname": first, "new_name": until}, {"datname": back, "new_name": first}]
    due = run_module(pg_rename, check_mode=True, server=source, renames=wanted)
    done = run_module(pg_rename, server=source, renames=wanted)
    assert done["renames"] == due["renames"] == wanted
    assert comments(source)[first] == back
    assert run_module(pg_rename, server=source, renames=wanted)["changed"] is False


def test_a_session_in_a_database_leaves_every_name_as_it_was(source, pair, run_module):
    first, back = pair
    before = comments(source)
    wanted = [
        {"datname": first, "new_name": f"{source['dbname']}_until"},
        {"datname": back, "new_name": first},
    ]
    with connect("test", {**source, "dbname": back}):
        failed = run_module(pg_rename, server=source, renames=wanted)
    assert failed["error"]["sqlstate"] == "55006"
    assert comments(source) == before
