"""What extensions.plan() decides and what compare() tells. No server."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PreconditionError
from ansible_collections.landbridge.migration.plugins.module_utils.pg.database.extensions import (
    Available,
    Extension,
    Rights,
    compare,
    plan,
)

OFFERED = {
    "earthdistance": Available("earthdistance", "1.2", True, None, ["cube"]),
    "cube": Available("cube", "1.5", True, None),
    "pageinspect": Available("pageinspect", "1.12", False, None),
}
PLAIN = Rights(False, frozenset())


def of(*names, version="1.0"):
    return {name: Extension(name, version) for name in names}


def names(extensions):
    return [extension.extname for extension in extensions]


def test_required_extensions_come_first():
    due = plan(of("earthdistance", "cube"), {}, OFFERED, PLAIN, "shop")
    assert names(due) == ["cube", "earthdistance"]


def test_those_that_are_there_are_not_made_again():
    assert names(plan(of("earthdistance", "cube"), of("cube"), OFFERED, PLAIN, "shop")) == [
        "earthdistance"
    ]


def test_all_that_the_target_lacks_are_named():
    with pytest.raises(PreconditionError, match="extensions a, b of database shop are not avail"):
        plan(of("b", "a", "cube"), {}, OFFERED, PLAIN, "shop")


def test_an_untrusted_one_is_refused_to_a_plain_role_and_tried_for_a_providers_administrator():
    with pytest.raises(PreconditionError, match="extension pageinspect of database shop is not tr"):
        plan(of("pageinspect"), {}, OFFERED, PLAIN, "shop")
    for rights in (Rights(True, frozenset()), Rights(False, frozenset({"azure_pg_admin"}))):
        assert names(plan(of("pageinspect"), {}, OFFERED, rights, "shop")) == ["pageinspect"]


@pytest.mark.parametrize(
    "source, there, severities",
    [
        pytest.param("1.5", "1.5", [], id="equal"),
        pytest.param("1.9", "1.10", ["note"], id="newer"),
        pytest.param("1.10", "1.9", ["warning"], id="older"),
        pytest.param("3.4.2", "3.5", ["note"], id="newer-with-fewer-parts"),
        pytest.param(None, "1.5", [], id="not-on-the-source"),
    ],
)
def test_versions_are_compared_as_numbers(source, there, severities):
    findings = compare(of("cube", version=source), {"cube": there}, "shop")
    assert [finding.severity for finding in findings] == severities
