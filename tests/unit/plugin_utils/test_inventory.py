"""Which mistakes of an inventory are named. Variables are plain values."""

import pytest

from ansible_collections.landbridge.migration.plugins.plugin_utils.inventory import (
    errors,
    pooler,
    server,
)

GROUPS = {"postgres_servers": ["old", "new"], "databases": ["shop"]}
EXISTING = {"provider": "existing", "postgres_host": "pg", "postgres_user": "migrator"}
SHOP = {"database_source": "old", "database_target": "new"}


def hosts(**changes):
    return {"old": {**EXISTING}, "new": {**EXISTING}, "shop": {**SHOP}} | changes


def without(variables, name):
    return {key: value for key, value in variables.items() if key != name}


def test_a_valid_inventory_has_no_mistakes():
    assert errors(GROUPS, hosts()) == []


@pytest.mark.parametrize(
    "changes, mistake",
    [
        pytest.param(
            {"old": without(EXISTING, "postgres_user")},
            "old: postgres_user is not set; provider existing needs it",
            id="missing",
        ),
        pytest.param(
            {"shop": {**SHOP, "database_target": "newer"}},
            "shop: database_target is newer, which is no host of group postgres_servers",
            id="dangling",
        ),
        pytest.param(
            {"shop": without(SHOP, "database_source")},
            "shop: database_source is not set; it names a host of group postgres_servers",
            id="missing-side",
        ),
        pytest.param(
            {"new": {**EXISTING, "postgres_hots": "pg"}},
            "variable postgres_hots is not known; did you mean postgres_host?",
            id="misspelt",
        ),
        pytest.param(
            {"new": {**EXISTING, "provider": "azur"}},
            "new: provider is azur; it is one of existing, local",
            id="unknown-provider",
        ),
        pytest.param(
            {"shop": {**SHOP, "database_pooler": "front"}},
            "shop: database_pooler is front, which is no host of group poolers",
            id="dangling-pooler",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(changes, mistake):
    assert errors(GROUPS, hosts(**changes)) == [mistake]


def test_a_variable_misspelt_for_all_hosts_is_one_mistake():
    wrong = {"landbridge_on_failur": "hold"}
    found = errors(GROUPS, {name: {**variables, **wrong} for name, variables in hosts().items()})
    assert found == [
        "variable landbridge_on_failur is not known; did you mean landbridge_on_failure?"
    ]


def test_an_inventory_without_databases_says_what_it_lacks():
    assert "no group 'databases'" in errors({"postgres_servers": []}, {})[0]


def test_an_endpoint_has_only_what_the_host_says():
    endpoint = server({**EXISTING, "postgres_port": 6432}, "shop")
    assert endpoint == {"host": "pg", "port": 6432, "user": "migrator", "dbname": "shop"}


def test_a_server_without_an_address_says_how_it_gets_one():
    with pytest.raises(ValueError, match="new: postgres_host is not known; run --tags postgres"):
        server({"inventory_hostname": "new"}, "shop")


def test_a_pooler_says_what_it_lacks():
    groups = {**GROUPS, "poolers": ["front"]}
    front = {"pooler_host": "bouncer", "pooler_user": "landbridge"}
    assert errors(groups, hosts(front=front)) == [
        "front: pooler_config_file is not set; a pooler needs it"
    ]


def test_a_poolers_options_are_what_its_host_says():
    front = {"pooler_host": "bouncer", "pooler_port": 6543, "pooler_user": "landbridge"}
    options = {"host": "bouncer", "port": 6543, "user": "landbridge", "database": "store"}
    assert pooler(front, "store") == options
