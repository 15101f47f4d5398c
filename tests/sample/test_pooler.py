"""Writers at a pooler: they wait while it is paused, and get no error."""

import secrets
from contextlib import closing

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pooler.pgbouncer import (
    PgBouncer as Driver,
)
from localcloud.certificates import Authority
from localcloud.pgbouncer.configuration import Configuration, Target
from localcloud.pgbouncer.server import PgBouncer
from localcloud.ports import free_port
from localcloud.sample import check, ledger, names, writers
from localcloud.sample.cloud import endpoint
from localcloud.sample.databases import select

pytestmark = pytest.mark.postgres

HOST = "127.32.0.2"
LIMIT_S = 20


@pytest.fixture
def pooler(sample, places, postgres_folder):
    """A pooler before the sample's identity, which its name leads to; steered by this driver."""
    [identity] = select(["identity"])
    target = Target(sample["host"], sample["port"], identity.dbname)
    configuration = Configuration(
        "front", HOST, free_port([HOST]), "console", {"identity": target}, pool_size=4
    )
    made = PgBouncer(postgres_folder / "front", configuration, Authority(postgres_folder))
    secret = secrets.token_urlsafe(12)
    password = places.password(identity.app).read_text().strip()
    made.write_users({identity.app: password, "console": secret})
    made.create()
    at = endpoint(HOST, configuration.port, made.authority.path)
    names.repoint(places, {"identity": names.pooled_address(places, identity, at)})
    server = {**at, "dbname": "pgbouncer", "user": "console", "password": secret}
    with closing(Driver(server, str(made.ini))) as driver:
        yield driver
    writers.stop(places, ["identity"])
    made.remove()


def test_writers_wait_at_a_paused_pooler_and_get_no_error(places, start, pooler, eventually):
    start("identity", rate=80, connections=8)
    for _ in range(3):
        pooler.pause("identity", LIMIT_S)
        size = ledger.size(places.ledger("identity"))
        pooler.resume("identity")
        pooler.settle("identity")
        eventually(lambda size=size: writers.accepted(places, "identity", size), LIMIT_S)
    writers.stop(places, ["identity"])
    checked = check.check(places, "identity")
    assert checked.passed, checked
    assert checked.acknowledged > 0
    assert checked.errors == {}
    assert checked.longest_wait_ms > 0
