"""What PgBouncer's settings mean for a crossing."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pooler.findings import (
    of_file,
    of_settings,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pooler.ini import Target
from ansible_collections.landbridge.migration.plugins.module_utils.pooler.pooler import Route

SUITED = {
    "pool_mode": "transaction",
    "query_wait_timeout": "120",
    "server_login_retry": "1",
    "client_tls_sslmode": "require",
    "client_tls_ca_file": "/etc/ca.pem",
    "server_tls_sslmode": "verify-full",
    "server_tls_ca_file": "/etc/ca.pem",
}

ROUTE = Route("pg.old.example", 5432, "shop", paused=False)


def codes(**settings):
    return [finding.code for finding in of_settings("shop", {**SUITED, **settings}, 10)]


def test_settings_that_suit_have_no_findings():
    assert codes() == []
    assert of_settings("shop", {}, 10) == []


@pytest.mark.parametrize(
    "settings, code",
    [
        ({"pool_mode": "session"}, "pooler_session_mode"),
        ({"query_wait_timeout": "20"}, "pooler_query_wait_short"),
        ({"server_login_retry": "15"}, "pooler_login_retry_long"),
        ({"client_tls_ca_file": ""}, "pooler_client_ca_unset"),
        ({"server_tls_ca_file": ""}, "pooler_server_ca_unset"),
    ],
)
def test_a_setting_that_stands_in_the_way_is_named(settings, code):
    assert codes(**settings) == [code]


@pytest.mark.parametrize(
    "settings",
    [
        {"query_wait_timeout": "0"},
        {"client_tls_sslmode": "disable", "client_tls_ca_file": ""},
        {"server_tls_sslmode": "require", "server_tls_ca_file": ""},
    ],
    ids=["waiting for ever", "no TLS", "servers not checked"],
)
def test_what_does_not_apply_is_not_named(settings):
    assert codes(**settings) == []


def test_a_file_that_says_something_else_than_runs_is_named():
    assert of_file("shop", ROUTE, Target("pg.old.example", 5432, "shop")) == []
    [other] = of_file("shop", ROUTE, Target("pg.new.example", 5432, "shop"))
    [none] = of_file("shop", ROUTE, None)
    assert (other.severity, none.severity) == ("warning", "blocker")
    assert "its file says nothing and PgBouncer goes to pg.old.example:5432/shop" in none.message
