"""What PgBouncer's lists mean."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PreconditionError
from ansible_collections.landbridge.migration.plugins.module_utils.pooler import observed
from ansible_collections.landbridge.migration.plugins.module_utils.pooler.console import command
from ansible_collections.landbridge.migration.plugins.module_utils.pooler.pooler import Route

SHOP = {
    "name": "shop", "host": "pg.old.example", "port": "5432", "database": "shop_db",
    "paused": "1", "current_connections": "0",
}  # fmt: skip
POOL = {"sv_login": "0", "sv_active": "2", "sv_idle": "1", "sv_used": "0", "sv_tested": "1"}


def test_a_command_quotes_the_name_as_the_console_unquotes_it():
    assert command("RELOAD") == "RELOAD"
    assert command("PAUSE", 'Legacy "Billing"') == 'PAUSE "Legacy ""Billing"""'


def test_a_route_is_read_from_the_databases_own_row():
    assert observed.route([{"name": "x"}, SHOP], "shop") == Route(
        "pg.old.example", 5432, "shop_db", paused=True
    )
    socket = {**SHOP, "host": None, "paused": "0"}
    assert observed.route([socket], "shop") == Route("", 5432, "shop_db", paused=False)
    with pytest.raises(PreconditionError, match="no database shop; it knows none"):
        observed.route([], "shop")


@pytest.mark.parametrize(
    "change, quiet",
    [
        ({}, True),
        ({"paused": "0"}, False),
        ({"current_connections": "1"}, False),
        ({"current_connections": None}, False),
    ],
)
def test_a_database_is_quiet_when_paused_and_without_a_connection(change, quiet):
    assert observed.quiet({**SHOP, **change}) is quiet


@pytest.mark.parametrize(
    "pool, size, grows",
    [
        ({"sv_login": "1", "cl_waiting": "0"}, 20, True),
        ({"cl_waiting": "0"}, 20, False),
        ({"cl_waiting": "3"}, 20, True),
        ({"cl_waiting": "3"}, 4, False),
    ],
    ids=["a login", "nobody waits", "room for who waits", "no room for who waits"],
)
def test_a_pool_grows_while_someone_logs_in_or_waits_with_room(pool, size, grows):
    assert observed.grows({**POOL, **pool}, size) is grows


def test_holders_are_those_in_a_transaction_the_longest_first():
    server = {"user": "app", "remote_pid": "7", "application_name": "", "database": "shop"}
    servers = [
        {**server, "state": "active", "request_time": "10:02", "link": "0x1"},
        {**server, "state": "idle", "request_time": "10:00", "link": ""},
        {**server, "state": "active", "request_time": "10:01", "link": "0x2"},
    ]
    clients = [{"ptr": "0x2", "addr": "10.0.0.7", "port": "5", "application_name": "report"}]
    first, second = observed.holders(servers, clients)
    assert first == {
        "user": "app", "pid": 7, "since": "10:01", "client": "10.0.0.7:5",
        "application_name": "report",
    }  # fmt: skip
    assert second["client"] is None
    assert observed.said(first) == "report as app, server process 7, since 10:01"
    assert observed.said(second).startswith("a client as app")
