"""What so many answers of a probe mean, and how long a container waits for its restart."""

import pytest

from localcloud.kubernetes.node.backoff import BackOff, restart_wanted
from localcloud.kubernetes.node.probes import LIVENESS, READINESS, STARTUP, Timing, Verdict


def verdict(kind, **probe):
    return Verdict(kind, Timing.of_probe(probe))


def answers(probe, text):
    """Give answers, y and n; return what the probe means after each."""
    found = []
    for letter in text:
        probe.take(letter == "y")
        found.append("y" if probe.means else "n")
    return "".join(found)


def test_a_probe_without_figures_has_the_apis_defaults():
    assert Timing.of_probe({}) == Timing(0, 10, 1, 1, 3)


def test_before_any_answer_a_container_lives_but_is_not_ready():
    assert (verdict(LIVENESS).means, verdict(READINESS).means) == (True, False)


def test_readiness_needs_so_many_answers_in_a_row():
    probe = verdict(READINESS, successThreshold=2, failureThreshold=3)
    assert answers(probe, "ynyynnynnn") == "nnnyyyyyyn"


def test_a_change_is_told_once():
    probe = verdict(READINESS, failureThreshold=1)
    assert [probe.take(each) for each in (True, True, False, False)] == [True, False, True, False]


@pytest.mark.parametrize("kind", [STARTUP, LIVENESS])
def test_enough_failures_in_a_row_end_the_container(kind):
    probe = verdict(kind, failureThreshold=2)
    found = []
    for success in (False, True, False, False):
        probe.take(success)
        found.append(probe.failed_for_good)
    assert found == [False, False, False, True]


def test_a_readiness_probe_never_ends_the_container():
    probe = verdict(READINESS, failureThreshold=1)
    probe.take(False)
    assert not probe.failed_for_good


def test_restarts_wait_twice_as_long_each_and_five_minutes_at_most():
    back_off = BackOff()
    assert [back_off.after(1) for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]


def test_ten_minutes_of_running_are_forgiven():
    back_off = BackOff()
    for _ in range(5):
        back_off.after(1)
    assert [back_off.after(600), back_off.after(1)] == [0, 10]


@pytest.mark.parametrize(
    "policy, after_success, after_failure",
    [("Always", True, True), ("OnFailure", False, True), ("Never", False, False)],
)
def test_the_restart_policy_decides_by_the_exit_code(policy, after_success, after_failure):
    assert restart_wanted(policy, 0) == after_success
    assert restart_wanted(policy, 1) == after_failure
