"""Links: names that tell what they belong to, and what two sides show together."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import canary, observed
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.address import seen
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.link import (
    Link,
    between,
    parse,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.observed import (
    Side,
    Slot,
    Subscription,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.replication_role import (  # noqa: E501
    Login,
)

LINK = between("7001/16384", "7002/16385")
SLOT = Slot(True, 42, "0/1", 0, 0, lost=False)
SUBSCRIPTION = Subscription(True, LINK.slot, 43, "0/1", None)
LOGIN = Login("landbridge_x_1", "s3cret", own=True)


def test_the_two_directions_have_names_of_their_own():
    back = between("7002/16385", "7001/16384")
    assert back.digest != LINK.digest
    assert between("7001/16384", "7002/16385") == LINK


def test_a_name_tells_its_link_and_fits_a_slot():
    later = LINK.next()
    assert parse(later.slot) == later
    assert later.epoch == 2
    assert len(Link("0" * 12, 10**9).name) <= 63


@pytest.mark.parametrize(
    "name", ["landbridge_admin", "landbridge_0123456789ab", "x_landbridge_0123456789ab_1", ""]
)
def test_a_name_of_someone_else_is_no_links(name):
    assert parse(name) is None


def test_a_link_follows_when_all_of_it_is_there():
    publisher = Side(frozenset([LINK.name]), {LINK.name: SLOT}, {}, frozenset([LINK.name]))
    subscriber = Side(subscriptions={LINK.name: SUBSCRIPTION})
    (state,) = observed.states(LINK.digest, publisher, subscriber)
    assert state.following
    assert state.role


@pytest.mark.parametrize(
    "publisher, subscriber",
    [
        (Side(), Side(subscriptions={LINK.name: SUBSCRIPTION})),
        (Side(frozenset([LINK.name]), {LINK.name: SLOT}), Side()),
        (
            Side(frozenset([LINK.name]), {LINK.name: SLOT}),
            Side(
                subscriptions={LINK.name: Subscription(False, LINK.name, None, None, None)},
            ),
        ),
        (
            Side(frozenset([LINK.name]), {LINK.name: Slot(False, None, "0/1", 0, 0, lost=True)}),
            Side(subscriptions={LINK.name: SUBSCRIPTION}),
        ),
    ],
    ids=["no_publisher", "no_subscriber", "disabled", "lost_slot"],
)
def test_a_link_with_something_missing_does_not_follow(publisher, subscriber):
    (state,) = observed.states(LINK.digest, publisher, subscriber)
    assert not state.following


def test_epochs_come_in_order_and_other_links_not_at_all():
    names = [LINK.next().name, LINK.name, "landbridge_0123456789ab_1"]
    states = observed.states(LINK.digest, Side(frozenset(names)), Side())
    assert [state.link.epoch for state in states] == [1, 2]


def test_a_token_that_is_none_never_gets_into_a_statement():
    with pytest.raises(ValueError, match="badly formed"):
        canary.beat_statement(LINK, "'); DROP TABLE x; --")


SERVER = {
    "host": "pg.example", "port": 5432, "dbname": "shop", "user": "me", "password": "mine",
    "sslmode": "verify-full", "sslrootcert": "/ca.pem",
}  # fmt: skip


def test_the_other_server_is_as_strict_as_asked_unless_told_otherwise():
    way = seen(SERVER, None, LOGIN)
    assert (way["host"], way["sslmode"], way["sslrootcert"]) == (
        "pg.example", "verify-full", "/ca.pem",
    )  # fmt: skip
    assert (way["user"], way["password"]) == ("landbridge_x_1", "s3cret")


def test_the_other_server_may_have_a_way_of_its_own():
    way = seen(SERVER, {"host": "10.0.0.4", "port": None, "sslmode": "require"}, LOGIN)
    assert (way["host"], way["port"], way["sslmode"]) == ("10.0.0.4", 5432, "require")
    assert "sslrootcert" not in way
