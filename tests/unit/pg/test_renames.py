"""Which renames are due. No server: names are plain values."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.fence.renames import (
    Rename,
    plan,
)

AWAY, BACK = Rename("shop", "shop_until"), Rename("shop_back", "shop")


@pytest.mark.parametrize(
    "found, due",
    [
        pytest.param({"shop", "shop_back"}, [AWAY, BACK], id="both-are-due"),
        pytest.param({"shop", "shop_until"}, [], id="both-were-made"),
        pytest.param({"shop_back"}, [BACK], id="nothing-stands-in-the-way"),
        pytest.param({"shop"}, [AWAY], id="nothing-takes-its-place"),
        pytest.param({"shop", "shop_back", "shop_until"}, [], id="a-name-is-taken"),
    ],
)
def test_a_rename_sees_the_names_that_those_before_it_left(found, due):
    assert plan([AWAY, BACK], found) == due
