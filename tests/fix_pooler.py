"""A real PgBouncer in front of a source and a target, as applications and as Landbridge see it."""

import secrets
import uuid
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import sql

from ansible_collections.landbridge.migration.plugins.module_utils.pooler import pgbouncer
from localcloud.certificates import Authority
from localcloud.pgbouncer.configuration import Configuration, Target
from localcloud.pgbouncer.server import PgBouncer
from localcloud.ports import free_port

HOST = "127.32.0.1"
ADMIN = "pooler_admin"

MAKE = "CREATE ROLE {} LOGIN PASSWORD {}"
FILL = "CREATE TABLE t (v text); GRANT ALL ON t TO {}"


@dataclass
class Pooled:
    """Names `shop` and `other` at the pooler, both leading to the source at first.

    :param source: what `shop` stands for, and the same of the target.
    :param console: Landbridge's server dict of the admin console.
    :param app: a service's server dict of `shop`, through the pooler.
    """

    bouncer: PgBouncer
    source: Target
    target: Target
    console: dict
    app: dict
    conns: list = field(default_factory=list)

    @property
    def options(self):
        """The option `pooler` of our modules."""
        return {**self.console, "config_file": str(self.bouncer.ini), "database": "shop"}

    def driver(self, **more):
        return pgbouncer.PgBouncer(self.console, str(self.bouncer.ini), **more)

    def connect(self, dbname="shop", **keywords):
        """Connect as a service that suits a pooler in transaction mode does."""
        wanted = {**self.app, "dbname": dbname, "autocommit": True, "prepare_threshold": None}
        self.conns.append(psycopg.connect(**{**wanted, **keywords}))
        return self.conns[-1]

    def ask(self, command):
        """Return what the admin console answers, as dicts."""
        keywords = {"row_factory": psycopg.rows.dict_row, "prepare_threshold": None}
        with psycopg.connect(**self.console, **keywords, autocommit=True) as conn:
            return conn.execute(command).fetchall()

    def tell(self, command):
        """Give the admin console a command that has no rows."""
        with psycopg.connect(**self.console, autocommit=True) as conn:
            conn.execute(command)

    def waiting(self, dbname="shop"):
        """Return how many clients wait for a connection to the server."""
        pools = self.ask("SHOW POOLS")
        return sum(pool["cl_waiting"] for pool in pools if pool["database"] == dbname)


@pytest.fixture
def pooled(source, target, postgres_folder):
    """A PgBouncer of this test's own; a role `app_…` may write to table t of both databases."""
    role, password = f"app_{uuid.uuid4().hex[:8]}", secrets.token_urlsafe(12)
    for server in (source, target):
        _make_app(server, role, password)
    first, second = (Target(s["host"], s["port"], s["dbname"]) for s in (source, target))
    configuration = Configuration(
        "pooler", HOST, free_port([HOST]), ADMIN, {"shop": first, "other": first}, pool_size=4
    )
    folder = postgres_folder / f"pooler-{role}"
    bouncer = PgBouncer(folder, configuration, Authority(postgres_folder))
    admin_password = secrets.token_urlsafe(12)
    bouncer.write_users({role: password, ADMIN: admin_password})
    bouncer.create()
    reached = {
        "host": HOST, "port": configuration.port, "sslmode": "verify-full",
        "sslrootcert": source["sslrootcert"],
    }  # fmt: skip
    console = {**reached, "dbname": "pgbouncer", "user": ADMIN, "password": admin_password}
    app = {**reached, "dbname": "shop", "user": role, "password": password}
    made = Pooled(bouncer, first, second, console, app)
    yield made
    for conn in made.conns:
        conn.close()
    bouncer.remove()


def _make_app(server, role, password):
    with psycopg.connect(**server, autocommit=True) as conn:
        conn.execute(sql.SQL(MAKE).format(sql.Identifier(role), sql.Literal(password)))
        conn.execute(sql.SQL(FILL).format(sql.Identifier(role)))
