"""What crosses: a database that follows another, both behind a PgBouncer, near or far."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from psycopg import sql

from ansible_collections.landbridge.migration.plugins.module_utils.pg.connection import connect
from ansible_collections.landbridge.migration.plugins.module_utils.pg.crossing import (
    crossing,
    request,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.fence import access, fence
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import (
    address,
    applying,
    canary,
    link,
    replication_role,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pooler import pgbouncer
from ansible_collections.landbridge.migration.plugins.module_utils.waiting import Deadline
from bench.clone.servers import HOST, Road, Server, Site
from bench.toxiproxy import Toxiproxy
from localcloud.pgbouncer.configuration import Configuration, Target
from localcloud.pgbouncer.server import PgBouncer
from localcloud.ports import free_port

DBNAME, APP, ADMIN = "shop", "shop_app", "pooler_admin"
WAIT_S = 120.0

# Rows that are there already, and sequences that have to be set.
FILL = """
CREATE TABLE ledger (id bigserial PRIMARY KEY, key uuid NOT NULL UNIQUE, worker int NOT NULL);
CREATE TABLE counted (worker int PRIMARY KEY, n bigint NOT NULL);
GRANT ALL ON ledger, counted TO {app};
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {app};
DO $$ BEGIN FOR n IN 1..100 LOOP EXECUTE format('CREATE SEQUENCE spare_%s', n); END LOOP; END $$"""
COUNTED = "INSERT INTO counted SELECT n, 0 FROM generate_series(1, 64) AS n"
TABLES = [("public", "ledger"), ("public", "counted")]

FOUND = "SELECT count(*), count(DISTINCT key) FROM ledger"
MISSING = """
SELECT count(*) FROM unnest(%s::uuid[]) AS k WHERE NOT EXISTS (SELECT FROM ledger WHERE key = k)"""


@dataclass(frozen=True, slots=True)
class Platform:
    """Two databases, a pooler, and the roads that a crossing takes to them."""

    site: Site
    bouncer: PgBouncer
    app: dict[str, Any]
    console: dict[str, Any]
    near: dict[str, Road]
    roads: dict[str, Road]

    def cross(self, direction: str) -> crossing.Done:
        """Cross as the module does; return what it says of it."""
        driver = pgbouncer.PgBouncer(self.console, str(self.bouncer.ini))
        asked = request.Request(
            goal=request.GOALS[direction],
            source=asdict(self.roads["source"]),
            target=asdict(self.roads["target"]),
            pooler=driver,
            dbname=DBNAME,
            addresses={side: {"port": road.port} for side, road in self.roads.items()},
            routes={side: {"port": road.port} for side, road in self.near.items()},
        )
        try:
            return crossing.cross(asked)
        finally:
            driver.close()

    @contextmanager
    def writing(self, count: int, each_second: float) -> Iterator[dict[str, Any]]:
        """Let applications write while the block runs; the dict then tells what became of it."""
        asked = {"server": self.app, "count": count, "every_s": count / each_second}
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.crossing.writers"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        told: dict[str, Any] = {}
        try:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the writers have no pipes")
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            process.stdout.readline()
            yield told
            told |= json.loads(process.communicate()[0])
        finally:
            process.kill()
            process.wait()

    def judge(self, told: dict[str, Any], serves: str) -> tuple[int, int]:
        """Return how many acknowledged writes are lost and how many are there twice."""
        server = self.site.source if serves == "source" else self.site.target
        with server.postgres.as_superuser(DBNAME) as conn:
            ((missing,),) = conn.execute(MISSING, [told["keys"]]).fetchall()
            ((rows, keys),) = conn.execute(FOUND).fetchall()
            counts = dict(conn.execute("SELECT worker, n FROM counted WHERE n > 0").fetchall())
        lost = sum(max(0, n - counts.get(int(w), 0)) for w, n in told["counts"].items())
        return max(int(missing), lost), int(rows) - int(keys)


@contextmanager
def platform(site: Site, proxies: Toxiproxy | None, round_trip_ms: int) -> Iterator[Platform]:
    """Make both databases, the link and the pooler; at a distance if there is a ``proxies``."""
    secret = secrets.token_urlsafe(16)
    near = {"source": site.source.to(DBNAME), "target": site.target.to(DBNAME)}
    for server in (site.source, site.target):
        _make(server, secret)
    bouncer, console = _pooler(site, near, secret)
    roads = dict(near)
    if proxies is not None:
        for side, road in near.items():
            port = proxies.proxy(f"{side}_far", road.port, round_trip_ms=round_trip_ms)
            roads[side] = getattr(site, side).to(DBNAME, port)
        far = proxies.proxy("pooler_far", console["port"], round_trip_ms=round_trip_ms)
        app = {**console, "dbname": DBNAME, "user": APP, "password": secret}
        console = {**console, "port": far}
    else:
        app = {**console, "dbname": DBNAME, "user": APP, "password": secret}
    _follow(asdict(roads["source"]), asdict(roads["target"]))
    with site.source.postgres.as_superuser(DBNAME) as conn:
        conn.execute(COUNTED)
    try:
        yield Platform(site, bouncer, app, console, near, roads)
    finally:
        bouncer.remove()


def _make(server: Server, secret: str) -> None:
    with server.postgres.as_superuser() as conn:
        made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        conn.execute(made.format(sql.Identifier(APP), sql.Literal(secret)))
    server.create(DBNAME)
    with connect("server", asdict(server.to(DBNAME)), pinned=False) as conn:
        conn.execute(sql.SQL(FILL).format(app=sql.Identifier(APP)))


def _pooler(site: Site, near: dict[str, Road], secret: str) -> tuple[PgBouncer, dict[str, Any]]:
    road = near["source"]
    leads = Target(road.host, road.port, road.dbname)
    port, databases = free_port([HOST]), {DBNAME: leads}
    configuration = Configuration("pooler", HOST, port, ADMIN, databases, pool_size=32)
    authority = site.source.postgres.authority
    bouncer = PgBouncer(site.folder / "pooler", configuration, authority)
    admin = secrets.token_urlsafe(16)
    bouncer.write_users({APP: secret, ADMIN: admin})
    bouncer.create()
    return bouncer, {
        "host": HOST, "port": configuration.port, "dbname": "pgbouncer", "user": ADMIN,
        "password": admin, "sslmode": "verify-full", "sslrootcert": str(authority.path),
    }  # fmt: skip


def _follow(source: dict[str, Any], target: dict[str, Any]) -> None:
    """Let the target follow, fenced as one that was never opened."""
    with connect("source", source) as publisher, connect("target", target) as subscriber:
        like = access.read(publisher).before
        fence.converge_fenced(
            subscriber, [], Deadline(WAIT_S), check_mode=False, returning=like,
            note=access.NEVER_OPENED,
        )  # fmt: skip
        between = link.between(link.identify(publisher), link.identify(subscriber))
        link.publish(publisher, between, TABLES)
        login = replication_role.converge_present(publisher, between, source)
        link.reserve(publisher, between)
        as_owner = applying.run_as_owner("target", subscriber, TABLES)
        way = address.seen(source, None, login)
        link.subscribe("target", subscriber, between, way, run_as_owner=as_owner)
        token = canary.beat(publisher, between)
        canary.wait_arrived(subscriber, between, token, Deadline(WAIT_S))
