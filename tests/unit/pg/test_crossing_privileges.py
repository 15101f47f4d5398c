"""Who may connect to a side that is opened; roles of links come and go by themselves."""

from ansible_collections.landbridge.migration.plugins.module_utils.pg.crossing import privileges
from ansible_collections.landbridge.migration.plugins.module_utils.pg.fence.access import (
    CROSSED,
    NEVER_OPENED,
    Access,
    Grant,
    Record,
)

LINK = Grant("landbridge_0123456789ab_1", "CONNECT", False)
APP, ADMIN, PUBLIC = (Grant(name, "CONNECT", False) for name in ("app", "admin", None))


def access(grants, record=None, comment=None):
    return Access("shop", "admin", "admin", True, "2026-01-01T00:00:00Z", frozenset(grants), comment, record)  # noqa: E501  # fmt: skip


def test_the_record_of_a_new_fence_leaves_links_roles_out():
    record = privileges.kept_record(access([APP, LINK], comment="the shop"))
    assert record.grants == {APP}
    assert (record.note, record.comment) == (CROSSED, "the shop")


def test_a_fence_that_stands_keeps_its_record():
    record = Record(frozenset([APP]), None, "2025-01-01T00:00:00Z", "by hand")
    assert privileges.kept_record(access([ADMIN], record)) == record


def test_a_side_that_is_opened_again_has_what_it_had_and_its_links_roles():
    record = Record(frozenset([APP, PUBLIC]), "the shop", "2026-01-01T00:00:00Z", CROSSED)
    wanted = privileges.reopened(access([ADMIN, LINK], record))
    assert wanted.grants == {APP, PUBLIC, LINK}


def test_the_target_gets_what_the_source_had_in_its_own_role_names():
    giver = access([APP, Grant("old", "CONNECT", False), Grant("gone", "CREATE", False), LINK])
    there = Record(frozenset([PUBLIC]), None, "2026-01-01T00:00:00Z", NEVER_OPENED)
    taker = access([ADMIN, LINK._replace(grantee="landbridge_ba9876543210_1")], there)
    wanted = privileges.taken_over("target", giver, taker, {"old": "new", "gone": None})
    assert {grant.grantee for grant in wanted.grants} == {
        "app", "new", "admin", "landbridge_ba9876543210_1",
    }  # fmt: skip


def test_the_source_gets_its_own_privileges_again():
    own = Record(frozenset([APP]), "the shop", "2026-01-01T00:00:00Z", CROSSED)
    wanted = privileges.taken_over("source", access([PUBLIC]), access([ADMIN], own), {})
    assert (wanted.grants, wanted.comment) == ({APP}, "the shop")
