"""pg_fence against real servers: who may connect, and that it all comes back."""

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from ansible_collections.landbridge.migration.plugins.modules import pg_fence

pytestmark = pytest.mark.postgres

PASSWORD = "app/s3cret"


@pytest.fixture
def app(source, postgres):
    """An application's role that may use the source; its server dict."""
    name = f"app_{source['dbname'][-8:]}"
    with _connect(source) as conn:
        conn.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(name), sql.Literal(PASSWORD)
            )
        )
        conn.execute(
            sql.SQL("CREATE TABLE t (id int); GRANT ALL ON t TO {}").format(sql.Identifier(name))
        )
    return {**source, "user": name, "password": PASSWORD}


def _connect(server):
    return psycopg.connect(make_conninfo(**server), autocommit=True)


def privileges(source):
    with _connect(source) as conn:
        return conn.execute(
            "SELECT aclexplode(coalesce(datacl, acldefault('d', datdba)))::text, "
            "shobj_description(oid, 'pg_database') "
            "FROM pg_database WHERE datname = current_database() ORDER BY 1"
        ).fetchall()


def test_a_fence_ends_sessions_and_refuses_new_ones_until_it_opens(source, app, run_module):
    before = privileges(source)
    writer = _connect(app)
    writer.autocommit = False
    writer.execute("INSERT INTO t VALUES (1)")

    fenced = run_module(pg_fence, server=source)
    assert fenced["changed"], fenced
    assert fenced["evidence"]["sessions_terminated"] == 1
    with pytest.raises(psycopg.OperationalError):
        writer.execute("COMMIT")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        _connect(app)

    opened = run_module(pg_fence, server=source, state="open")
    assert opened["changed"]
    assert privileges(source) == before
    with _connect(app) as conn:
        assert conn.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_second_run_changes_nothing_either_way(source, run_module):
    states = ["fenced", "fenced", "open", "open"]
    changed = [run_module(pg_fence, server=source, state=state)["changed"] for state in states]
    assert changed == [True, False, True, False]


def test_check_mode_predicts_and_changes_nothing(source, run_module):
    before = privileges(source)
    due = run_module(pg_fence, check_mode=True, server=source)
    assert privileges(source) == before
    assert run_module(pg_fence, server=source)["changes"] == due["changes"]


def test_a_comment_of_the_owner_returns_with_the_privileges(source, run_module):
    with _connect(source) as conn:
        conn.execute(
            sql.SQL("COMMENT ON DATABASE {} IS 'the \"shop\"'").format(
                sql.Identifier(source["dbname"])
            )
        )
    before = privileges(source)
    run_module(pg_fence, server=source)
    run_module(pg_fence, server=source)
    run_module(pg_fence, server=source, state="open")
    assert privileges(source) == before


def test_a_privilege_given_by_someone_granted_it_is_taken_and_returned(source, app, run_module):
    with _connect(source) as conn:
        database, role = sql.Identifier(source["dbname"]), sql.Identifier(app["user"])
        conn.execute(sql.SQL("REVOKE CONNECT ON DATABASE {} FROM PUBLIC").format(database))
        conn.execute(
            sql.SQL("GRANT CONNECT ON DATABASE {} TO {} WITH GRANT OPTION").format(database, role)
        )
    with _connect(app) as conn:
        conn.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO pg_monitor").format(database))
    run_module(pg_fence, server=source)
    with pytest.raises(psycopg.OperationalError):
        _connect(app)
    run_module(pg_fence, server=source, state="open")
    _connect(app).close()


def test_a_role_that_passes_by_membership_leaves_the_database_as_it_was(
    source, app, run_module, postgres
):
    before = privileges(source)
    keep = _with_member(source, app, postgres)
    failed = run_module(pg_fence, server=source, keep=[keep])
    assert "the fence cannot hold" in failed["msg"]
    assert app["user"] in failed["msg"]
    assert privileges(source) == before


def _with_member(source, app, postgres):
    """A role that may be kept, with the application's role a member of it."""
    group = f"readers_{source['dbname'][-8:]}"
    with _connect(source) as conn:
        conn.execute(
            sql.SQL("CREATE ROLE {0}; GRANT {0} TO {1}").format(
                sql.Identifier(group), sql.Identifier(app["user"])
            )
        )
    return group


def test_the_target_opens_like_the_source_was(source, target, app, run_module):
    with _connect(source) as conn:
        conn.execute(
            sql.SQL(
                "REVOKE ALL ON DATABASE {0} FROM PUBLIC; GRANT CONNECT ON DATABASE {0} TO {1}"
            ).format(sql.Identifier(source["dbname"]), sql.Identifier(app["user"]))
        )
    run_module(pg_fence, server=source)
    run_module(pg_fence, server=target, note="never opened")
    opened = run_module(
        pg_fence,
        server=target,
        state="open",
        like=source,
        role_map={app["user"]: "pg_read_all_data"},
    )
    assert "GRANT CONNECT TO pg_read_all_data" in opened["changes"]
    assert "REVOKE TEMPORARY FROM PUBLIC" in opened["changes"]
    with _connect(target) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_a_failure_names_the_side_and_hides_the_password(source, run_module):
    failed = run_module(pg_fence, server={**source, "password": "canary/s3cret"})
    assert failed["msg"].startswith("server: ")
    assert "canary" not in str(failed)
