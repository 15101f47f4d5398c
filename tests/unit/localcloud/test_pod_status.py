"""The status of a pod, told from what was observed."""

import pytest

from localcloud.kubernetes.node.status import (
    Observed,
    PodObserved,
    Running,
    Terminated,
    Waiting,
    pod_status,
)

THEN, NOW = "2026-01-01T00:00:00.000Z", "2026-01-01T00:01:00.000Z"
POD = {"metadata": {"name": "web"}, "spec": {}, "status": {}}


def ended(code):
    return Terminated(code, "Error" if code else "Completed", THEN, NOW)


def container(state, name="web", **more):
    return Observed(name, "busybox", state, **more)


CREATING = container(Waiting("ContainerCreating"))
RUNS = container(Running(THEN), started=True, ready=True)
CRASHED = container(Waiting("CrashLoopBackOff"), last=ended(1), restart_count=1)
WORKED = container(ended(0), done=True)
BROKE = container(ended(1), done=True)
INIT_RUNS = container(Running(THEN), "init", started=True)
ENDED_SIDECAR = container(ended(143), "proxy", done=True, sidecar=True)
UNBEGUN_SIDECAR = container(Waiting("ContainerCreating"), "proxy", sidecar=True)
SIDECAR = container(Running(THEN), "proxy", started=True, ready=True, sidecar=True)


@pytest.mark.parametrize(
    "init, containers, phase",
    [
        pytest.param([], [CREATING], "Pending", id="being made"),
        pytest.param([], [RUNS, CREATING], "Pending", id="one of two runs"),
        pytest.param([], [RUNS], "Running", id="runs"),
        pytest.param([], [CRASHED], "Running", id="crash loop"),
        pytest.param([], [WORKED, RUNS], "Running", id="one has ended"),
        pytest.param([], [WORKED, WORKED], "Succeeded", id="worked"),
        pytest.param([], [WORKED, BROKE], "Failed", id="one broke"),
        pytest.param([INIT_RUNS], [CREATING], "Pending", id="initializing"),
        pytest.param([BROKE], [CREATING], "Failed", id="init container broke"),
        pytest.param([WORKED], [RUNS], "Running", id="initialized"),
        pytest.param([SIDECAR], [RUNS], "Running", id="beside a sidecar"),
        pytest.param([SIDECAR], [WORKED], "Running", id="a sidecar has still to end"),
        pytest.param([ENDED_SIDECAR], [WORKED], "Succeeded", id="how a sidecar ended"),
        pytest.param([UNBEGUN_SIDECAR], [CREATING], "Pending", id="a sidecar is awaited"),
    ],
)
def test_the_phase_follows_from_the_containers(init, containers, phase):
    assert pod_status(POD, PodObserved(init, containers), NOW)["phase"] == phase


def conditions(observed, pod=POD, before=()):
    return {each["type"]: each for each in pod_status(pod, observed, NOW, before)["conditions"]}


def test_a_pod_is_ready_when_all_containers_are_and_says_which_are_not():
    ready = conditions(PodObserved([], [RUNS]))["Ready"]
    assert (ready["status"], ready["reason"]) == ("True", None)
    other = container(Running(THEN), "slow", started=True)
    ready = conditions(PodObserved([], [RUNS, other]))["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
    assert ready["message"] == "containers with unready status: [slow]"


def test_a_readiness_gate_keeps_a_pod_from_being_ready():
    def gated(*opened):
        status = {"conditions": [{"type": each, "status": "True"} for each in opened]}
        return {**POD, "spec": {"readinessGates": [{"conditionType": "lb"}]}, "status": status}

    observed = PodObserved([], [RUNS])
    shut, opened = conditions(observed, gated()), conditions(observed, gated("lb"))
    assert (shut["ContainersReady"]["status"], shut["Ready"]["status"]) == ("True", "False")
    assert opened["Ready"]["status"] == "True"


def test_a_pod_that_has_ended_is_not_ready_and_says_why():
    ready = conditions(PodObserved([], [WORKED]))["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "PodCompleted")


def test_a_condition_keeps_its_time_until_it_changes():
    before = [
        {"type": "Ready", "status": "True", "lastTransitionTime": THEN},
        {"type": "Initialized", "status": "False", "lastTransitionTime": THEN},
    ]
    found = conditions(PodObserved([], [RUNS]), before=before)
    assert found["Ready"]["lastTransitionTime"] == THEN
    assert found["Initialized"]["lastTransitionTime"] == NOW


def test_a_container_tells_its_state_and_how_it_ended_before():
    told = CRASHED.told()
    assert told["state"] == {"waiting": {"reason": "CrashLoopBackOff"}}
    assert told["lastState"]["terminated"]["exitCode"] == 1
    assert (told["restartCount"], told["ready"]) == (1, False)


def test_a_pod_that_the_node_gave_up_says_why():
    def told(container):
        observed = PodObserved([], [container], failure=("DeadlineExceeded", "too long"))
        status = pod_status(POD, observed, NOW)
        return status["phase"], status.get("reason")

    assert told(RUNS) == ("Running", None)  # it is being stopped
    assert told(WORKED) == ("Failed", "DeadlineExceeded")


def test_a_container_that_ran_when_the_node_went_has_been_killed():
    status = {"restartCount": 2, "state": {"running": {"startedAt": THEN}}}
    found = Observed.recovered({"name": "web", "image": "busybox"}, status, NOW)
    assert (found.state.exit_code, found.restart_count, found.has_run) == (137, 2, True)


def test_a_container_that_had_ended_is_known_to_have():
    status = {"restartCount": 0, "state": ended(3).told()}
    found = Observed.recovered({"name": "web", "image": "busybox"}, status, NOW)
    assert found.state == ended(3)
