"""Which tables get which replica identity, from plain values."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PreconditionError
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import identity
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.identity import (
    DEFAULT,
    FULL,
    INDEX,
    NOTHING,
    Identity,
    Name,
    Table,
)


def table(kind=DEFAULT, index="", **changes):
    values = {
        "oid": 1, "name": Name("public", "t"), "owner": "shop_owner", "owned": True,
        "identity": Identity(kind, index), "keyed": False, "indexes": [],
        "columns": [("id", "integer")],
    }  # fmt: skip
    return Table(**{**values, **changes})


@pytest.mark.parametrize(
    "found, wanted",
    [
        pytest.param(table(keyed=True), None, id="a key will do"),
        pytest.param(table(NOTHING, keyed=True), Identity(DEFAULT), id="a key not used"),
        pytest.param(table(indexes=["a", "b"]), Identity(INDEX, "a"), id="the best index"),
        pytest.param(table(INDEX, "b", indexes=["a", "b"]), None, id="an index chosen before"),
        pytest.param(table(INDEX, "", indexes=["a"]), Identity(INDEX, "a"), id="its index dropped"),
        pytest.param(table(INDEX, "", keyed=True), Identity(DEFAULT), id="dropped, but a key"),
        pytest.param(table(), Identity(FULL), id="neither"),
        pytest.param(table(NOTHING), Identity(FULL), id="nothing at all"),
        pytest.param(table(FULL, keyed=True), None, id="full already"),
    ],
)
def test_a_table_keeps_its_identity_or_gets_the_cheapest(found, wanted):
    changes = identity.plan([found])
    assert [change.after for change in changes] == ([] if wanted is None else [wanted])
    assert all(change.before == found.identity for change in changes)


def test_a_change_names_no_other_table_of_the_family_and_quotes_all():
    change = identity.Change(Name('s"', "t;"), Identity(DEFAULT), Identity(INDEX, 'i"'))
    assert change.statement() == ('ALTER TABLE ONLY "s"""."t;" REPLICA IDENTITY USING INDEX "i"""')
    assert change.line() == 's".t;: DEFAULT -> USING INDEX "i"""'


def test_whole_rows_that_cannot_be_compared_are_refused_with_table_column_and_way_out():
    found = table(columns=[("id", "integer"), ("j", "json")])
    with pytest.raises(PreconditionError, match=r"public\.t has no key.* column j is of type json"):
        identity.check([found], {"json"}, [], "admin")
    identity.check([found], {"json"}, ["public.t"], "admin")
    identity.check([table(keyed=True, columns=[("j", "json")])], {"json"}, [], "admin")


def test_a_table_of_somebody_elses_is_refused_with_the_grant_that_helps():
    with pytest.raises(PreconditionError, match="admin does not own 1 tables") as refused:
        identity.check([table(owned=False), table()], set(), [], "admin")
    assert refused.value.hint == 'GRANT "shop_owner" TO "admin".'
