"""What following does next, from what is there; pure values."""

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PreconditionError
from ansible_collections.landbridge.migration.plugins.module_utils.pg.clone.queue import Record
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow import (
    options,
    preconditions,
    steps,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.link import Link
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.observed import (
    LinkState,
    Slot,
    Subscription,
)
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.settling import Trend
from ansible_collections.landbridge.migration.plugins.module_utils.pg.follow.sides import Found

SLOT = Slot(True, 1, "0/1", 0, 0, lost=False)
LOST = Slot(False, None, "0/1", 0, 0, lost=True)
ENABLED = Subscription(True, "s", 1, "0/1", None)
DISABLED = Subscription(False, "s", None, "0/1", None)


def made(epoch=1, publication=True, slot=SLOT, subscription=ENABLED):
    return LinkState(Link("0123456789ab", epoch), publication, slot, subscription, False)


def found(links=(), whole=None, finished=True, record=True, back=()):
    kept = Record({}, "", {}, [], finished, None, True) if record else None
    return Found(kept, [], {}, whole or {}, list(links), list(back))


@pytest.mark.parametrize(
    "seen, copy, subscribe, enable, state",
    [
        pytest.param(found(record=False), True, [], 0, "absent", id="nothing"),
        pytest.param(found([made()], record=False), True, [], 0, "copying", id="a slot only"),
        pytest.param(found([made(subscription=None)], {1: {"1"}}, finished=False), True, [1], 0,
                     "copying", id="in mid copy"),
        pytest.param(found([made(subscription=None)], {1: {"1"}}), False, [1], 0, "copying",
                     id="copied"),
        pytest.param(found([made()], {1: {"1"}}), False, [], 0, "following", id="following"),
        pytest.param(found([made(subscription=DISABLED)], {1: {"1"}}), False, [], 1, "stopped",
                     id="stopped"),
        pytest.param(found([made(), made(2, subscription=None)], {1: {"1"}, 2: {"2"}}), False, [2],
                     0, "copying", id="one of two epochs"),
    ],
)  # fmt: skip
def test_what_is_left_to_do_follows_from_what_is_there(seen, copy, subscribe, enable, state):
    plan = steps.plan(seen)
    assert (plan.copy, plan.subscribe, len(plan.enable)) == (copy, subscribe, enable)
    assert plan.changes is (state != "following")
    assert steps.state(seen) == state


@pytest.mark.parametrize(
    "link, words",
    [
        pytest.param([], "no slot any more", id="no link"),
        pytest.param([made(slot=None)], "no slot any more", id="no slot"),
        pytest.param([made(slot=LOST)], "has lost the log", id="slot lost"),
        pytest.param([made(publication=False)], "no publication", id="no publication"),
    ],
)
def test_writes_that_are_lost_to_the_target_are_told_with_the_way_out(link, words):
    with pytest.raises(PreconditionError, match=words) as failed:
        steps.plan(found(link, {1: {"1"}}))
    assert "landbridge_redo=dataxfer" in failed.value.hint


def test_an_epoch_without_a_table_is_left_over():
    links = [made(1), made(2)]
    assert steps.leftovers(found(links, {2: {"1"}})) == [links[0].link]


def test_databases_that_have_crossed_are_not_followed_anew():
    with pytest.raises(PreconditionError, match="has crossed"):
        steps.plan(found([], {1: {"1"}}, back=[made()]))


@pytest.mark.parametrize(
    "change, major, words",
    [
        ({}, 12, "12 cannot be followed"),
        ({"wal_level": "replica"}, 17, "wal_level is replica"),
        ({"may_replicate": False}, 17, "me may not replicate"),
        ({"may_create": False}, 17, "me may not create publications"),
        ({"free_slots": 0}, 17, "none of its max_replication_slots"),
        ({"free_senders": 0}, 17, "none of its max_wal_senders"),
    ],
    ids=["major", "wal level", "replication", "create", "slots", "senders"],
)
def test_a_source_that_does_not_let_itself_be_followed_is_told_what_to_do(change, major, words):
    good = preconditions.Source("logical", True, True, 1, 1)
    preconditions.check_source(good, 13, "me")
    with pytest.raises(PreconditionError, match=words) as failed:
        preconditions.check_source(good._replace(**change), major, "me")
    assert failed.value.hint


def test_a_trend_is_of_the_last_readings():
    times = iter([0.0, 2.0, 4.0])
    trend = Trend(lambda: next(times))
    assert [trend.add(lag) for lag in (1000, 500, 3000)] == [0.0, -250.0, 500.0]


@pytest.mark.parametrize(
    "change, words",
    [({"lag_s": 0}, "lag_s is 0"), ({"skip_lsn": "17"}, "skip_lsn is 17"), ({"jobs": 0}, "jobs")],
    ids=["no lag at all", "no position", "no jobs"],
)
def test_options_of_no_use_are_refused(change, words):
    params = {name: spec.get("default") for name, spec in options.argument_spec().items()}
    params |= {"source": {}, "target": {}}
    assert options.request(params, check_mode=False).lag_s == 1.0
    with pytest.raises(PreconditionError, match=words):
        options.request({**params, **change}, check_mode=False)
