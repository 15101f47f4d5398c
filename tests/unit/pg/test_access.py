"""What a fence changes, and what its record keeps. No server: privileges are plain values."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PreconditionError
from ansible_collections.landbridge.migration.plugins.module_utils.pg.fence.access import (
    MARK,
    Access,
    Change,
    Grant,
    Record,
    admitting,
    decode,
    encode,
    mapped,
    plan_fenced,
    plan_open,
)

PUBLIC = Grant(None, "CONNECT", False)
APP = Grant("shop_app", "CONNECT", False)
TEMP = Grant(None, "TEMPORARY", False)
ME = Grant("migrator", "CONNECT", False)


def access(*grants, record=None):
    return Access("shop", "shop_owner", "migrator", True, "now", frozenset(grants), None, record)


@pytest.mark.parametrize(
    "grants, changes",
    [
        pytest.param([PUBLIC], [Change("GRANT", ME), Change("REVOKE", PUBLIC)], id="public"),
        pytest.param([ME], [], id="fenced-already"),
        pytest.param([ME, APP], [Change("REVOKE", APP)], id="someone-granted-it-again"),
        pytest.param([ME, TEMP], [], id="other-privileges-stay"),
    ],
)
def test_a_fence_leaves_connect_to_those_kept(grants, changes):
    assert plan_fenced(access(*grants), keep=[]) == changes


def test_a_role_kept_keeps_its_privilege():
    assert plan_fenced(access(ME, APP), keep=["shop_app"]) == []


def test_opening_undoes_exactly_what_the_fence_did():
    fenced = access(ME, TEMP, record=Record(frozenset({PUBLIC, TEMP}), None))
    assert plan_open(fenced.before, fenced) == [Change("GRANT", PUBLIC), Change("REVOKE", ME)]


def test_opening_twice_changes_nothing():
    assert plan_open(Record(frozenset({PUBLIC}), None), access(PUBLIC)) == []


@pytest.mark.parametrize("comment", [None, 'The shop\'s "database" {'], ids=["none", "odd"])
def test_a_record_survives_the_comment_it_is_kept_in(comment):
    record = Record(frozenset({PUBLIC, Grant('o"d', "CREATE", True)}), comment, "now", "note")
    assert decode(encode(record)) == record


@pytest.mark.parametrize("comment", [None, "", "The shop's database"])
def test_a_comment_of_someone_else_is_no_record(comment):
    assert decode(comment) is None


def test_a_record_that_was_tampered_with_stops_the_run():
    with pytest.raises(PreconditionError, match="cannot be read"):
        decode(MARK + '{"privileges": [[1]]}')


def test_the_other_side_gets_the_roles_that_it_knows():
    record = Record(frozenset({PUBLIC, APP, Grant("old_admin", "CREATE", True)}), None)
    roles = {"shop_app": "store_app", "old_admin": None}
    assert mapped(record, roles).grants == {PUBLIC, Grant("store_app", "CONNECT", False)}


def test_whoever_opens_a_database_is_not_locked_out_of_it():
    assert admitting(Record(frozenset({APP}), None), "migrator").grants == {APP, ME}
    assert admitting(Record(frozenset({PUBLIC}), None), "migrator").grants == {PUBLIC}
