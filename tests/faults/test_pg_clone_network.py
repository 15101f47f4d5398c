"""A copy over a slow network that breaks: what was cut is not there, and is done again."""

import json

import psycopg
import pytest

from ansible_collections.landbridge.migration.plugins.modules import pg_clone
from bench import toxiproxy

pytestmark = [pytest.mark.postgres, pytest.mark.fault]

ROUND_TRIP_MS = 10
CUT_AFTER_BYTES = 4_000_000  # more than catalogs and dump take, less than the big table

COUNT = "SELECT count(*) FROM public.big"


@pytest.fixture(scope="session")
def proxies():
    try:
        toxiproxy.program()
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
    with toxiproxy.running() as running:
        yield running


@pytest.fixture
def far(proxies):
    """Return a function: a pair of server dicts as it is reached through a proxy for each side."""

    def reach(pair):
        return {
            side: {**server, "port": proxies.proxy(
                server["dbname"], server["port"], host=server["host"], round_trip_ms=ROUND_TRIP_MS
            )}
            for side, server in pair.items()
        }  # fmt: skip

    yield reach
    proxies.heal()


@pytest.fixture
def big(source, target):
    """A source with a table of 25 MB."""
    with psycopg.connect(**source, autocommit=True) as conn:
        conn.execute(
            "CREATE TABLE public.big AS"
            " SELECT n, repeat(md5(n::text), 3) AS filler FROM generate_series(1, 200000) n"
        )
    return {"source": source, "target": target}


@pytest.mark.parametrize(
    "side, stream",
    [pytest.param("source", "downstream", id="source"),
     pytest.param("target", "upstream", id="target")],
)  # fmt: skip
def test_connections_that_end_after_some_megabytes_do_not_end_a_table(
    big, far, proxies, run_module, contents_of, as_superuser, side, stream
):
    pair = far(big)
    proxies.poison(big[side]["dbname"], "limit_data", stream, bytes=CUT_AFTER_BYTES)
    failure = run_module(pg_clone, **pair)
    assert failure["msg"].startswith(f"{side}: ")
    assert "\n" not in failure["msg"]
    assert failure["error"]["retryable"] is True, failure
    with as_superuser(big["target"]) as conn:
        assert conn.execute(COUNT).fetchone() == (0,)
    proxies.heal()
    assert run_module(pg_clone, **pair)["rows"] == 200_000
    assert contents_of(big["target"]) == contents_of(big["source"])


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_network_that_resets_every_connection_in_mid_copy_is_gone_on_after(
    gated, far, proxies, started, waiting, run_module, contents_of, as_superuser, side
):
    near, lock = gated
    pair = far(near)
    child = started(**pair)
    waiting(near["target"])
    proxies.poison(near[side]["dbname"], "reset_peer", "downstream", timeout=0)
    lock.execute("SELECT pg_advisory_unlock(42)")
    failure = json.loads(child.stdout.read())
    child.wait()
    assert failure["msg"].startswith(f"{side}: ")
    assert failure["error"]["retryable"] is True, failure
    with as_superuser(near["target"]) as conn:
        assert conn.execute(COUNT).fetchone() == (0,)
    proxies.heal()
    finished = run_module(pg_clone, **pair)
    assert finished["parts_resumed"] > 0
    assert contents_of(near["target"]) == contents_of(near["source"])
