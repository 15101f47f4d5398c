"""What an audit concludes before a database is followed. No server."""

from dataclasses import replace

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.audit.audit_facts import (
    Role,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.audit.audit_rules import (
    Question,
    findings,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.audit.live_facts import Room
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import link, reach
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.reach import Attempt
from tests.unit.pg.test_audit import facts

ROOM = Room(
    wal_level="logical",
    max_slots=10,
    slots=0,
    max_senders=10,
    senders=0,
    max_origins=10,
    subscriptions=0,
    max_apply_workers=4,
    max_worker_processes=8,
    may_replicate=True,
    may_create=True,
    slot_keep_bytes=None,
    idle_slot_timeout_s=None,
    xid_age=1,
    writable="shop",
)
WORKED = Attempt("db:5432", None, "")
REFUSED = Attempt("10.1.2.3:5432", reach.UNREACHABLE, "Connection refused")
DENIED = Attempt("db:5432", reach.DENIED, "must be superuser to create subscriptions")


def live(version=170000, target_version=170000, databases=1, forward=WORKED, back=WORKED, **room):
    """Return findings for two sides, of which ``room`` changes the source's."""
    source = facts(version, room=ROOM._replace(**room))
    target = facts(target_version, "2", room=ROOM)
    return found(source, target, databases, forward, back)


def found(source, target, databases=1, forward=WORKED, back=WORKED):
    question = Question(source, target, {}, "live", True, databases, forward, back)
    return {each.code: each for each in findings(question)}


def test_two_fit_sides_may_be_followed():
    assert live() == {}


@pytest.mark.parametrize(
    "room, severity, code, message",
    [
        pytest.param(
            {"wal_level": "replica"}, "blocker", "wal_level",
            "source: wal_level is replica; following needs logical", id="wal-level",
        ),
        pytest.param(
            {"may_replicate": False}, "blocker", "may_not_replicate",
            "source: admin has no right to replicate", id="right",
        ),
        pytest.param(
            {"slots": 10}, "blocker", "no_free_slot",
            "source: 10 of 10 replication slots are taken and 1 is needed (max_replication_slots)",
            id="slot",
        ),
        pytest.param(
            {"senders": 10}, "blocker", "no_free_sender",
            "source: 10 of 10 WAL senders are taken and 1 is needed (max_wal_senders)",
            id="sender",
        ),
        pytest.param(
            {"slot_keep_bytes": 1 << 30}, "warning", "slot_limit",
            "source: a slot that is 1024 MB behind is lost (max_slot_wal_keep_size); the database"
            " has 0 MB", id="slot-limit",
        ),
        pytest.param(
            {"idle_slot_timeout_s": 60}, "warning", "slot_timeout",
            "source: a slot nobody reads for 60 s is lost (idle_replication_slot_timeout), and"
            " nobody reads it while the database is copied", id="slot-timeout",
        ),
        pytest.param(
            {"xid_age": 1_500_000_000}, "warning", "xid_age",
            "source: the oldest row version is 1500000000 transactions old, and a slot keeps the"
            " catalogs from being cleaned", id="xids",
        ),
    ],
)  # fmt: skip
def test_what_a_publisher_lacks_is_told_with_a_remedy(room, severity, code, message):
    finding = live(**room)[code]
    assert (finding.severity, finding.message) == (severity, message)
    assert finding.remedy


@pytest.mark.parametrize(
    "role, parameter",
    [
        pytest.param("rds_superuser", "rds.logical_replication: 1", id="rds"),
        pytest.param("cloudsqlsuperuser", "cloudsql.logical_decoding: on", id="cloud-sql"),
        pytest.param("azure_pg_admin", "wal_level: logical", id="flexible-server"),
    ],
)
def test_logical_wal_is_switched_on_in_the_providers_way_and_by_a_restart(role, parameter):
    source = facts(room=ROOM._replace(wal_level="replica"))
    made = Role(role, False, False, True, True, 0)
    source = replace(source, roles={**source.roles, role: made})
    remedy = found(source, facts(identifier="2", room=ROOM))["wal_level"].remedy
    assert parameter in remedy
    assert "restart" in remedy


def test_each_database_takes_a_slot_and_a_worker():
    assert live(databases=4) == {}
    finding = live(databases=6)["no_free_worker"]
    assert "6 are needed (max_logical_replication_workers)" in finding.message
    assert "max_logical_replication_workers: 8" in finding.remedy


def test_a_target_that_cannot_reach_the_source_names_the_address():
    finding = live(forward=REFUSED)["target_cannot_reach"]
    assert (finding.severity, finding.object) == ("blocker", "10.1.2.3:5432")
    assert finding.message == (
        "target: the server cannot connect to the source at 10.1.2.3:5432 as admin had it try:"
        " Connection refused"
    )
    assert "firewall" in finding.remedy


def test_before_16_a_target_is_sent_to_the_window():
    finding = live(150000, 150000, forward=DENIED, back=None)["may_not_subscribe"]
    assert finding.severity == "blocker"
    assert "only a superuser may create subscriptions" in finding.message
    assert finding.remedy == "Choose landbridge_mode: window."


def test_from_16_on_the_right_to_subscribe_can_be_granted():
    finding = live(forward=DENIED)["may_not_subscribe"]
    assert finding.severity == "blocker"
    assert 'GRANT pg_create_subscription TO "admin"' in finding.remedy


def test_a_reach_that_was_not_tried_is_a_note():
    assert live(forward=None)["reach_not_tried"].severity == "note"


def test_an_old_source_has_no_way_back_without_a_window():
    found_ = live(150000, back=DENIED)
    assert list(found_) == ["no_way_back"]
    assert found_["no_way_back"].severity == "warning"


def test_a_source_that_cannot_reach_the_target_is_a_warning():
    assert live(back=REFUSED)["source_cannot_reach"].severity == "warning"


def test_what_the_way_back_needs_of_the_target_is_asked_only_if_there_is_one():
    target = facts(identifier="2", room=ROOM._replace(wal_level="replica"))
    assert found(facts(room=ROOM), target)["wal_level"].object == "target"
    old = found(facts(150000, room=ROOM), target)
    assert list(old) == ["no_way_back"]


def test_a_name_of_the_links_that_is_taken_is_refused_and_no_other():
    source = facts(room=ROOM)
    names = link.between("1/5", "2/5")
    other = link.between("1/5", "3/5")
    strange = [f"subscription {names.name}", f"slot {other.name}", "slot landbridge_odd"]
    target = facts(identifier="2", room=ROOM._replace(strange=strange))
    question = Question(source, target, {}, "live", True, 1, WORKED, WORKED)
    [finding] = findings(question)
    assert (finding.code, finding.severity) == ("name_taken", "blocker")
    assert finding.object == f"subscription {names.name}"
