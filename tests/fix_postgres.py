"""Real Postgres servers for tests, run like a managed service; two majors side by side if asked.

`source` and `target` are fresh databases on two servers of version 17; a test asks for others:

    @pytest.mark.source_major(15)
    def test_it(source, target): ...

A session's servers are shared by its tests and go with it, also if it is killed.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest
from psycopg import sql

from localcloud import processes
from localcloud.certificates import Authority
from localcloud.ports import free_port
from localcloud.postgres import watch
from localcloud.postgres.configuration import SUPERUSER, Configuration
from localcloud.postgres.managed import verifier
from localcloud.postgres.server import PostgresServer

HOST = "127.31.0.1"
ADMIN = "landbridge_admin"

# A restart's worth of crash safety is kept (kill() works); a power cut's is not.
PARAMETERS = {"shared_buffers": "64MB", "max_connections": "200", "max_wal_size": "2GB"}

TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"

SUBSCRIPTIONS = """
SELECT subname
  FROM pg_subscription
  JOIN pg_database ON pg_database.oid = subdbid
 WHERE datname = %s
"""

ACTIVE_SLOTS = "SELECT FROM pg_replication_slots WHERE database = %s AND active"

DROP_SLOTS = """
SELECT pg_drop_replication_slot(slot_name)
  FROM pg_replication_slots
 WHERE database = %s
"""

NEW_OBJECTS = """
SELECT 'role' AS kind, rolname::text AS name FROM pg_roles WHERE rolname !~ '^pg_'
UNION ALL
SELECT 'database', datname::text FROM pg_database
"""


class TestServer(PostgresServer):
    """A managed server with what tests may look at it with from outside."""

    __test__ = False  # no test class

    def __init__(self, folder, configuration, authority):
        super().__init__(folder, configuration, authority)
        self.major = configuration.major
        self._password = secrets.token_urlsafe(12)

    def create(self):
        super().create(verifier(self.configuration.admin_user, self._password))

    @property
    def admin(self):
        """The managed admin's server dict, database postgres."""
        return {
            "host": self.configuration.host,
            "port": self.configuration.port,
            "dbname": "postgres",
            "user": self.configuration.admin_user,
            "password": self._password,
            "sslmode": "verify-full",
            "sslrootcert": str(self.authority.path),
        }

    @property
    def superuser(self):
        """The superuser's server dict: for a test's own looking and breaking."""
        return {
            "host": str(self.socket_folder),
            "port": self.configuration.port,
            "dbname": "postgres",
            "user": SUPERUSER,
        }


def pytest_configure(config):
    for side in ("source", "target"):
        text = f"{side}_major(major): the {side} server's version; 17 if not given"
        config.addinivalue_line("markers", text)


@pytest.fixture(scope="session")
def postgres_folder():
    """A folder the servers' user can enter; it and all servers in it go with this process."""

    folder = Path(tempfile.mkdtemp(prefix="landbridge-test-"))
    folder.chmod(0o711)
    watcher = subprocess.Popen(
        [sys.executable, watch.__file__, str(os.getpid()), str(folder)],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        start_new_session=True,
    )
    yield folder
    watch.clear(folder)
    watcher.kill()
    watcher.wait()


@pytest.fixture(scope="session")
def postgres(postgres_folder):
    """Return a function: the running server of a major, for one side (or any other word)."""
    authority = Authority(postgres_folder)
    servers = {}

    def server(major=17, side="source"):
        if (major, side) not in servers:
            name = f"{side}-{major}"
            configuration = Configuration(
                name, major, HOST, free_port([HOST, "127.0.0.1"]), ADMIN,
                dns_name=f"{name}.postgres.test", parameters=PARAMETERS, durable=False,
            )  # fmt: skip
            made = TestServer(postgres_folder / name, configuration, authority)
            made.create()
            servers[major, side] = made
        made = servers[major, side]
        made.start()  # a test may have left it stopped
        return made

    server.servers = servers
    yield server
    for made in servers.values():
        made.stop_immediately()


@pytest.fixture
def source_major(request):
    return _major(request, "source_major")


@pytest.fixture
def target_major(request):
    return _major(request, "target_major")


def _major(request, name):
    marker = request.node.get_closest_marker(name)
    return marker.args[0] if marker else 17


@pytest.fixture
def source_server(postgres, source_major):
    """The server `source` is on."""
    return postgres(source_major, "source")


@pytest.fixture
def target_server(postgres, target_major):
    """The server `target` is on; never the source's."""
    return postgres(target_major, "target")


@pytest.fixture
def source(source_server):
    """A server dict of a fresh database, owned by the managed admin."""
    yield from fresh_database(source_server)


@pytest.fixture
def target(target_server):
    """A server dict of a fresh database on another server than the source's."""
    yield from fresh_database(target_server)


def fresh_database(server):
    """Yield a server dict of a fresh database; drop all that is new on the server then."""
    before = _objects(server)
    dbname = f"lb_{uuid.uuid4().hex[:12]}"
    with server.as_superuser() as conn:
        statement = sql.SQL("CREATE DATABASE {} OWNER {}")
        conn.execute(statement.format(sql.Identifier(dbname), sql.Identifier(ADMIN)))
    yield {**server.admin, "dbname": dbname}
    server.start()
    _drop(server, _objects(server) - before)


def _objects(server):
    with server.as_superuser() as conn:
        return set(conn.execute(NEW_OBJECTS).fetchall())


def _drop(server, objects):
    """Drop the databases and roles that a test has made."""
    for name in [name for kind, name in objects if kind == "database"]:
        _drop_subscriptions(server, name)
        with server.as_superuser() as conn:
            _drop_database(server, conn, name)
    roles = [sql.Identifier(name) for kind, name in objects if kind == "role"]
    if roles:
        with server.as_superuser() as conn:
            for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
                conn.execute(sql.SQL(statement).format(sql.SQL(", ").join(roles)))


def _drop_subscriptions(server, dbname):
    """Drop a database's subscriptions here; their slots go with the publisher's database."""
    with server.as_superuser() as conn:
        found = conn.execute(SUBSCRIPTIONS, [dbname]).fetchall()
    if not found:
        return
    with server.as_superuser(dbname) as conn:
        for (name,) in found:
            for statement in (
                "ALTER SUBSCRIPTION {} DISABLE",
                "ALTER SUBSCRIPTION {} SET (slot_name = NONE)",
                "DROP SUBSCRIPTION {}",
            ):
                conn.execute(sql.SQL(statement).format(sql.Identifier(name)))


def _drop_database(server, conn, name):
    identifier = sql.Identifier(name)
    conn.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(identifier))
    conn.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(identifier))
    conn.execute(TERMINATE, [name])
    processes.wait_until(
        lambda: not conn.execute(ACTIVE_SLOTS, [name]).fetchall(), 10, f"{name}: slots are free"
    )
    conn.execute(DROP_SLOTS, [name])
    force = " WITH (FORCE)" if server.major >= 13 else ""
    conn.execute(sql.SQL("DROP DATABASE {}" + force).format(identifier))


@pytest.fixture
def kill_sessions(postgres):
    """Return a function that terminates every session of a server's database."""

    def kill(server):
        ports = {each.configuration.port: each for each in postgres.servers.values()}
        with ports[server["port"]].as_superuser() as conn:
            conn.execute(TERMINATE, [server["dbname"]])

    return kill
