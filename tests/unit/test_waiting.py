"""Waiting and retrying, on a clock that only moves when someone sleeps."""

from itertools import islice, repeat

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import (
    ApiError,
    DeadlineError,
)
from ansible_collections.landbridge.migration.plugins.module_utils.waiting import (
    Deadline,
    pauses,
    retry,
    wait_for,
)


class Time:
    def __init__(self):
        self.now, self.slept = 0.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def deadline(time):
    return Deadline(60, clock=lambda: time.now, sleep=time.sleep)


def failing(*errors, then="done"):
    """Return a call that raises each of ``errors`` once and then returns ``then``."""
    left = list(errors)

    def call():
        if left:
            raise left.pop(0)
        return then

    return call


def test_what_is_already_there_is_returned_without_a_pause(deadline, time):
    assert wait_for(lambda: 7, bool, what="seven", deadline=deadline) == 7
    assert time.slept == []


def test_waiting_ends_with_the_value_that_satisfies(deadline):
    states = iter(["creating", "creating", "ready"])
    seen = wait_for(lambda: next(states), "ready".__eq__, what="it", deadline=deadline)
    assert seen == "ready"


def test_a_wait_that_ends_in_vain_says_for_what_how_long_and_what_it_saw(deadline, time):
    with pytest.raises(
        DeadlineError, match="waited 60 s for server shop to be ready; last seen: creating"
    ) as failed:
        wait_for(
            lambda: "creating", "ready".__eq__, what="server shop to be ready", deadline=deadline
        )
    assert failed.value.retryable
    assert time.now == 60


def test_the_last_look_is_at_the_deadline_itself(deadline, time):
    seen = wait_for(
        lambda: time.now, lambda now: now >= 60, what="60", deadline=deadline, between=repeat(45.0)
    )
    assert seen == 60


def test_pauses_grow_to_a_limit_and_differ_by_chance():
    taken = list(islice(pauses(first_s=1, most_s=8, growth=2), 200))
    assert all(0.5 <= pause <= 8 for pause in taken)
    assert taken[0] <= 1
    assert all(pause >= 4 for pause in taken[3:])
    assert len(set(taken)) > 100


def test_a_transient_error_is_tried_again(deadline, time):
    error = ApiError("busy", retryable=True, status=503)
    assert retry(failing(error, error), deadline=deadline) == "done"
    assert len(time.slept) == 2


def test_an_error_that_will_not_heal_is_raised_at_once(deadline, time):
    with pytest.raises(ApiError, match="denied"):
        retry(failing(ApiError("denied", status=403)), deadline=deadline)
    assert time.slept == []


def test_the_servers_own_pause_is_honoured(deadline, time):
    error = ApiError("slow down", retryable=True, status=429)
    error.retry_after_s = 17.0
    assert retry(failing(error), deadline=deadline) == "done"
    assert time.slept == [17.0]


def test_a_pause_longer_than_the_time_left_raises_the_error_itself(deadline, time):
    error = ApiError("slow down", retryable=True, status=429)
    error.retry_after_s = 61.0
    with pytest.raises(ApiError, match="slow down"):
        retry(failing(error), deadline=deadline)
    assert time.now == 0


def test_retrying_ends_at_the_deadline_with_the_last_error(deadline, time):
    def call():
        raise ApiError("busy", retryable=True, status=503)

    with pytest.raises(ApiError, match="busy"):
        retry(call, deadline=deadline)
    assert 50 < time.now <= 60
