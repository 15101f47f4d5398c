"""Which step comes next, from every state that two databases and a pooler can be in."""

from itertools import product

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.pg.crossing.steps import (
    NO_POOLER,
    SIDES,
    Do,
    Flow,
    SideState,
    State,
    next_step,
    other,
    plan,
    serving,
)

ABSENT, READY, FOLLOWING, PARTIAL = Flow

# What a crossing passes, from source to target.
FOLLOWED = State(
    SideState(open=True, never_opened=False, follows=ABSENT),
    SideState(open=False, never_opened=True, follows=FOLLOWING),
    "source",
    paused=False,
)
READIED = FOLLOWED.having("source", follows=READY)
PAUSED = State(READIED.source, READIED.target, "source", paused=True)
FENCED = PAUSED.having("source", open=False)
OPENED = FENCED.having("target", open=True, never_opened=False, follows=READY)
ROUTED = State(OPENED.source, OPENED.target, "target", paused=False)
RETURNING = ROUTED.having("source", follows=FOLLOWING)
CROSSED = RETURNING.having("target", follows=ABSENT)

PASSED = {
    "followed": FOLLOWED, "readied": READIED, "paused": PAUSED, "fenced": FENCED, "opened": OPENED,
    "routed": ROUTED, "returning": RETURNING, "crossed": CROSSED,
}  # fmt: skip


def dos(state, goal):
    return [step.do for step in plan(state, goal)]


FORWARD = {
    "followed": [Do.CROSS, Do.FOLLOW, Do.DROP, Do.DONE],
    "readied": [Do.DROP, Do.CROSS, Do.FOLLOW, Do.DROP, Do.DONE],
    "paused": [Do.ROUTE, Do.DROP, Do.CROSS, Do.FOLLOW, Do.DROP, Do.DONE],
    "fenced": [Do.CROSS, Do.FOLLOW, Do.DROP, Do.DONE],
    "opened": [Do.ROUTE, Do.FOLLOW, Do.DROP, Do.DONE],
    "routed": [Do.FOLLOW, Do.DROP, Do.DONE],
    "returning": [Do.DROP, Do.DONE],
    "crossed": [Do.DONE],
}
BACK = {
    "followed": [Do.DONE],
    "readied": [Do.DROP, Do.DONE],
    "paused": [Do.ROUTE, Do.DROP, Do.DONE],
    "fenced": [Do.REOPEN, Do.ROUTE, Do.DROP, Do.DONE],
    "opened": [Do.ROUTE, Do.FOLLOW, Do.DROP, Do.CROSS, Do.FOLLOW, Do.DROP, Do.DONE],
    "routed": [Do.FOLLOW, Do.DROP, Do.CROSS, Do.FOLLOW, Do.DROP, Do.DONE],
    "returning": [Do.DROP, Do.CROSS, Do.FOLLOW, Do.DROP, Do.DONE],
    "crossed": [Do.CROSS, Do.FOLLOW, Do.DROP, Do.DONE],
}


@pytest.mark.parametrize("name", FORWARD)
def test_a_run_killed_anywhere_is_finished_by_the_next(name):
    assert dos(PASSED[name], "target") == FORWARD[name]


@pytest.mark.parametrize("name", BACK)
def test_a_run_killed_anywhere_is_taken_back_by_the_opposite_one(name):
    assert dos(PASSED[name], "source") == BACK[name]


def mirrored(state):
    route = state.route and other(state.route)
    return State(state.target, state.source, route, state.paused)


@pytest.mark.parametrize("name", PASSED)
@pytest.mark.parametrize("goal", SIDES)
def test_the_way_back_is_the_same_with_the_sides_exchanged(name, goal):
    there = [(step.do, step.side) for step in plan(PASSED[name], goal)]
    back = [(step.do, other(step.side)) for step in plan(mirrored(PASSED[name]), other(goal))]
    assert there == back


def every_state():
    sides = [SideState(*each) for each in product([True, False], [True, False], Flow)]
    routes = [*SIDES, NO_POOLER, None]
    for source, target, route, paused in product(sides, sides, routes, [True, False]):
        yield State(source, target, route, paused)


@pytest.mark.parametrize("goal", SIDES)
def test_every_state_ends_served_by_the_goal_or_is_refused(goal):
    for state in every_state():
        steps = plan(state, goal)
        assert len(steps) <= 8, state
        assert steps[-1].do in (Do.DONE, Do.REFUSE), state


@pytest.mark.parametrize("goal", SIDES)
def test_no_side_is_opened_while_the_other_is_open(goal):
    for state in every_state():
        step = next_step(state, goal)
        if step.do is Do.REOPEN:
            assert not state.source.open, state
            assert not state.target.open, state
        if step.do is Do.CROSS:
            assert not state.side(goal).open, state


@pytest.mark.parametrize("goal", SIDES)
def test_the_pooler_is_led_to_no_side_that_is_fenced(goal):
    for state in every_state():
        step = next_step(state, goal)
        if step.do is Do.ROUTE:
            assert state.side(step.side).open, state


@pytest.mark.parametrize("goal", SIDES)
def test_a_link_is_never_enabled_towards_the_side_that_serves(goal):
    for state in every_state():
        step = next_step(state, goal)
        if step.do is Do.FOLLOW:
            assert step.side == other(serving(state)), state


@pytest.mark.parametrize(
    "state, said",
    [
        (FOLLOWED.having("target", open=True, never_opened=False), "both sides let"),
        (FENCED.having("target", follows=ABSENT), "both sides are fenced"),
        (FENCED.having("source", follows=FOLLOWING), "both sides are fenced"),
        (State(FOLLOWED.source, FOLLOWED.target, None, paused=False), "neither side"),
        (FOLLOWED.having("target", follows=PARTIAL), "does not follow"),
        (FOLLOWED.having("target", follows=ABSENT), "does not follow"),
    ],
    ids=["both_open", "no_link", "two_links", "pooler_elsewhere", "half_a_link", "window"],
)
def test_what_cannot_be_crossed_is_refused_with_its_reason(state, said):
    step = next_step(state, "target")
    assert step.do is Do.REFUSE
    assert said in step.why


def test_without_a_pooler_nothing_is_led_anywhere():
    steps = plan(State(FOLLOWED.source, FOLLOWED.target, NO_POOLER, paused=False), "target")
    assert [step.do for step in steps] == FORWARD["followed"]


def test_a_copy_in_the_making_is_not_enabled():
    """Its link is ready before its rows are there."""
    step = next_step(FOLLOWED.having("target", follows=READY), "target")
    assert step.do is Do.REFUSE


def test_without_a_way_back_the_crossing_ends_all_the_same():
    no_way = ROUTED.having("source", follows=ABSENT)
    assert dos(no_way, "target") == [Do.DROP, Do.DONE]
    assert dos(no_way, "source")[-1] is Do.REFUSE
