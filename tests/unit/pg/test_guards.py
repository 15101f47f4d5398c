"""What keeps a followed database from crossing, from facts as values. No server."""

from dataclasses import replace

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.conflict import (
    Conflict,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.facts import (
    Noted,
    Publication,
    Publisher,
    Slot,
    Subscriber,
    Subscription,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.guards import guards
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.lag import Lag
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.watch import Seen
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.watched import (
    Limits,
    Watched,
)

MB = 1 << 20
GB = 1 << 30
NAME = "landbridge_3f2a9c01b7d4_1"

SLOT = Slot(NAME, True, MB, 1000)
SUBSCRIPTION = Subscription(NAME, True, 77, NAME)
PUBLISHER = Publisher(
    at_s=0.0,
    written=1000,
    database_bytes=MB,
    slots={NAME: SLOT},
    publications={NAME: Publication(NAME, True, True)},
    published={NAME: frozenset({"public.t"})},
)
SUBSCRIBER = Subscriber({NAME: SUBSCRIPTION}, {NAME: frozenset({"public.t"})})
NONE = Lag(0, 0.0, "steady", 0.0)
WATCHED = Watched(PUBLISHER, SUBSCRIBER, NONE)


def publisher(**changes):
    return replace(WATCHED, publisher=replace(PUBLISHER, **changes))


def slot(**changes):
    return publisher(slots={NAME: replace(SLOT, **changes)})


def subscription(**changes):
    made = replace(SUBSCRIPTION, **changes)
    return replace(WATCHED, subscriber=replace(SUBSCRIBER, subscriptions={NAME: made}))


def codes(watched):
    return [(each.severity, each.code) for each in guards(watched)]


def test_a_link_that_follows_has_no_guard():
    assert guards(WATCHED) == []


@pytest.mark.parametrize(
    "watched, severity, code, message",
    [
        pytest.param(
            replace(WATCHED, publisher=Publisher(0.0, 1), subscriber=Subscriber(), lag=None),
            "blocker", "not_following", "target: nothing follows the source", id="nothing",
        ),
        pytest.param(
            publisher(slots={}), "blocker", "slot_missing",
            f"source: the slot {NAME} is not there", id="slot-missing",
        ),
        pytest.param(
            slot(reason="wal_removed"), "blocker", "slot_lost",
            f"source: the slot {NAME} is of no more use (wal_removed)", id="slot-lost",
        ),
        pytest.param(
            publisher(publications={}), "blocker", "publication_missing",
            f"source: the publication {NAME} is not there", id="publication-missing",
        ),
        pytest.param(
            publisher(publications={NAME: Publication(NAME, True, False)}),
            "blocker", "not_carried", f"source: the publication {NAME} leaves out TRUNCATE",
            id="no-truncate",
        ),
        pytest.param(
            replace(WATCHED, subscriber=Subscriber()), "blocker", "subscription_missing",
            f"target: the subscription {NAME} is not there", id="subscription-missing",
        ),
        pytest.param(
            subscription(enabled=False), "blocker", "stopped",
            f"target: the subscription {NAME} is disabled", id="stopped",
        ),
        pytest.param(
            subscription(pid=None, errors=3), "blocker", "no_worker",
            f"target: no worker applies for {NAME}, after 3 errors", id="no-worker",
        ),
        pytest.param(
            slot(active=False), "blocker", "no_worker", f"target: no worker applies for {NAME}",
            id="not-connected",
        ),
        pytest.param(
            subscription(blocked_by=("7 of ann",)), "blocker", "apply_blocked",
            f"target: {NAME} waits for a lock of process 7 of ann", id="blocked",
        ),
        pytest.param(
            replace(WATCHED, subscriber=Subscriber({NAME: SUBSCRIPTION}, {})),
            "blocker", "not_subscribed",
            f"target: {NAME} does not know of public.t, which it publishes", id="not-subscribed",
        ),
        pytest.param(
            publisher(unpublished=["public.new"]), "blocker", "not_published",
            "source: not followed: public.new", id="table-added",
        ),
        pytest.param(
            replace(WATCHED, ddl=["column public.t.c added"]), "blocker", "ddl",
            "source: changed since the snapshot, and not on the target: column public.t.c added",
            id="ddl",
        ),
        pytest.param(
            replace(WATCHED, ddl=None), "warning", "not_fingerprinted",
            "source: how the database was defined when it was copied is not known",
            id="ddl-unknown",
        ),
        pytest.param(
            replace(WATCHED, touched={"pg_catalog.pg_largeobject": 2 * MB}),
            "blocker", "not_followed_changed",
            "source: written to since the snapshot, and not carried by replication:"
            " pg_catalog.pg_largeobject (2.0 MB)", id="large-objects",
        ),
        pytest.param(
            replace(
                WATCHED, touched={"public.fast": MB}, limits=Limits(carried_bytes=2 * MB)
            ),
            "warning", "not_followed_changed", "source: written to since the snapshot",
            id="unlogged-and-small",
        ),
        pytest.param(
            publisher(delaying=[Noted("prepared_here", "in limbo")]),
            "blocker", "prepared_here", "source: in limbo: prepared and not ended", id="prepared",
        ),
        pytest.param(
            publisher(delaying=[Noted("long_transaction", "process 7 of ann")]),
            "warning", "long_transaction", "source: process 7 of ann: in a transaction for long",
            id="long",
        ),
        pytest.param(
            publisher(near_end=["public.s"]), "warning", "sequence_near_end",
            "source: public.s: nine tenths", id="sequence",
        ),
        pytest.param(
            publisher(xid_age=1_500_000_000), "warning", "xid_age",
            "source: the oldest row version is 1500000000 transactions old", id="xids",
        ),
        pytest.param(
            publisher(sessions=[Noted("listen", "app (web)"), Noted("listen", "app (web)")]),
            "warning", "session_listen", "source: app (web) listens to a channel: that stays",
            id="listen",
        ),
    ],
)  # fmt: skip
def test_each_guard_says_what_is_wrong_and_what_to_do(watched, severity, code, message):
    [finding] = guards(watched)
    assert (finding.severity, finding.code) == (severity, code)
    assert finding.message.startswith(message)
    assert finding.remedy


def test_an_error_names_the_row_and_the_lsn_to_skip():
    conflict = Conflict("INSERT into public.t (id = 5)", "duplicate key value", "0/19184A0")
    stopped = replace(subscription(enabled=False, errors=1), conflicts={NAME: conflict})
    [finding] = guards(stopped)
    assert (finding.code, finding.severity) == ("apply_error", "blocker")
    assert "INSERT into public.t (id = 5): duplicate key value" in finding.message
    assert "skip_lsn: 0/19184A0" in finding.remedy


def test_an_error_that_cannot_be_told_is_in_the_servers_log():
    [finding] = guards(subscription(enabled=False, errors=1))
    assert finding.message.endswith("which one is in the server's log alone")


@pytest.mark.parametrize(
    "lag, found",
    [
        pytest.param(Lag(MB, 0.5, "steady", None), [], id="small"),
        pytest.param(Lag(100, 60.0, "steady", None), [], id="idle-and-not-confirmed-yet"),
        pytest.param(Lag(17 * MB, 1.0, "steady", None), [("blocker", "lag")], id="many-bytes"),
        pytest.param(Lag(2 * MB, 9.0, "growing", None), [("blocker", "lag")], id="old"),
    ],
)
def test_a_cutover_waits_until_the_lag_is_small(lag, found):
    assert codes(replace(WATCHED, lag=lag)) == found


def test_a_falling_lag_says_how_long_to_wait_and_any_other_what_to_look_for():
    falling = replace(WATCHED, lag=Lag(40 * MB, 8.0, "falling", 12.0))
    growing = replace(WATCHED, lag=Lag(40 * MB, 8.0, "growing", None))
    [one], [other] = guards(falling), guards(growing)
    assert one.message == "target: is 40.0 MB and 8.0 s behind, and that is falling"
    assert one.remedy == "Wait: at this rate about 12 s."
    assert "disk" in other.remedy


@pytest.mark.parametrize(
    "kept, keep_bytes, free, found",
    [
        pytest.param(GB, 10 * GB, None, [], id="a-tenth-of-the-limit"),
        pytest.param(6 * GB, 10 * GB, None, [("warning", "slot_growth")], id="half-of-it"),
        pytest.param(9 * GB, 10 * GB, None, [("blocker", "slot_growth")], id="most-of-it"),
        pytest.param(9 * GB, None, 100 * GB, [], id="much-disk"),
        pytest.param(9 * GB, None, 2 * GB, [("blocker", "slot_growth")], id="little-disk"),
        pytest.param(9 * GB, 100 * GB, 2 * GB, [("blocker", "slot_growth")], id="the-nearer-end"),
        pytest.param(GB // 2, None, None, [], id="no-limit-known"),
        pytest.param(2 * GB, None, None, [("warning", "slot_growth")], id="more-than-the-database"),
    ],
)
def test_a_slot_is_measured_by_what_it_may_keep(kept, keep_bytes, free, found):
    watched = publisher(slots={NAME: replace(SLOT, retained_bytes=kept)}, keep_bytes=keep_bytes)
    assert codes(replace(watched, limits=Limits(disk_free_bytes=free))) == found


def test_a_slot_whose_wal_may_go_with_the_next_checkpoint_closes_the_gate():
    watched = publisher(slots={NAME: replace(SLOT, status="unreserved")}, keep_bytes=GB)
    assert codes(watched) == [("blocker", "slot_growth")]


def test_on_the_way_back_the_sides_are_exchanged():
    back = replace(publisher(slots={}), sides=("target", "source"))
    assert guards(back)[0].message.startswith(f"target: the slot {NAME}")


def test_blockers_come_first_and_are_counted():
    watched = replace(publisher(near_end=["public.s"]), ddl=["table public.t changed"])
    seen = Seen(watched, guards(watched))
    assert [each.severity for each in seen.guards] == ["blocker", "warning"]
    assert [each.code for each in seen.blockers] == ["ddl"]


@pytest.mark.parametrize(
    "watched, state",
    [
        pytest.param(WATCHED, "following", id="all-there"),
        pytest.param(slot(active=False), "waiting", id="not-connected"),
        pytest.param(subscription(pid=None), "waiting", id="no-worker"),
        pytest.param(subscription(enabled=False), "stopped", id="disabled"),
        pytest.param(
            replace(subscription(pid=None), conflicts={NAME: Conflict("INSERT", "no", "0/1")}),
            "blocked",
            id="a-change-cannot-be-applied",
        ),
        pytest.param(slot(reason="wal_removed"), "broken", id="slot-lost"),
        pytest.param(publisher(slots={}), "broken", id="slot-missing"),
        pytest.param(publisher(publications={}), "broken", id="publication-missing"),
    ],
)
def test_a_link_has_a_state(watched, state):
    [link] = Seen(watched, []).links()
    assert (link["epoch"], link["state"]) == (1, state)


def test_a_sentence_says_where_it_stands():
    lag = Lag(40 * MB, 8.0, "falling", 12.0)
    watched = replace(WATCHED, lag=lag)
    assert Seen(watched, guards(watched)).summary() == (
        "following; 40.0 MB and 8.0 s behind, falling, about 12 s to go; the slot keeps 1 MB;"
        " 1 in the gate's way"
    )
    assert Seen(WATCHED, []).summary() == (
        "following; 0.0 MB and 0.0 s behind, steady; the slot keeps 1 MB; nothing is in the gate's"
        " way"
    )
    nothing = Watched(Publisher(0.0, 1), Subscriber(), None)
    assert Seen(nothing, []).summary() == "nothing follows"
