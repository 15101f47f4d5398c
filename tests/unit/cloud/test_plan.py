"""What postgres_server.plan() and converge() decide, on plain values and a driver in memory."""

from dataclasses import replace

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.cloud.postgres_server import (
    Change,
    converge,
    plan,
)
from ansible_collections.landbridge.migration.plugins.module_utils.cloud.server import (
    Parameter,
    Server,
    Wanted,
)
from ansible_collections.landbridge.migration.plugins.module_utils.errors import (
    ApiError,
    DeadlineError,
    NotConvergedError,
    PreconditionError,
)
from ansible_collections.landbridge.migration.plugins.module_utils.waiting import Deadline

FOUND = Server(
    "shop", "ready", "", 17, "h", 5432, "boss",
    parameters={"wal_level": Parameter("replica")},
    firewall=["10.0.0.0/8"], backup={"retention_days": 7, "window": "night"},
    high_availability=False, storage_mb=100,
)  # fmt: skip


@pytest.mark.parametrize(
    "wanted, changes",
    [
        pytest.param({}, [], id="nothing-described"),
        pytest.param({"version": 17, "admin_user": "boss", "storage_mb": 100}, [], id="equal"),
        pytest.param({"firewall": ["10.1.2.3/8"]}, [], id="host-bits-of-a-network"),
        pytest.param({"backup": {"retention_days": 7}}, [], id="the-rest-of-backup-is-left-alone"),
        pytest.param(
            {"backup": {"retention_days": 9}},
            [Change("backup", {"retention_days": 7}, {"retention_days": 9})],
            id="backup",
        ),
        pytest.param(
            {"firewall": []}, [Change("firewall", ["10.0.0.0/8"], [])], id="firewall-closed"
        ),
        pytest.param(
            {"parameters": {"wal_level": "logical", "work_mem": "4MB"}},
            [
                Change("parameters.wal_level", "replica", "logical"),
                Change("parameters.work_mem", None, "4MB"),
            ],
            id="parameters",
        ),
        pytest.param({"storage_mb": 200}, [Change("storage_mb", 100, 200)], id="storage-grows"),
    ],
)
def test_plan_holds_exactly_the_differences(wanted, changes):
    assert plan(Wanted("shop", **wanted), FOUND).changes == changes


def test_what_a_provider_does_not_tell_is_unverified_and_no_change():
    silent = replace(FOUND, backup=None, firewall=None, tells_all_parameters=False)
    wanted = Wanted(
        "shop",
        backup={"retention_days": 1},
        firewall=["10.0.0.0/8"],
        parameters={"work_mem": "1MB"},
    )
    planned = plan(wanted, silent)
    assert planned.changes == []
    assert planned.unverified == ["backup", "firewall", "parameters.work_mem"]


def test_an_address_that_is_none_is_named():
    with pytest.raises(PreconditionError, match=r"firewall.*all"):
        plan(Wanted("shop", firewall=["all"]), FOUND)


class Memory:
    """A driver whose server becomes what is asked for after some reads."""

    def __init__(self, server, *, lag=0, deaf=False):
        self.server, self.lag, self.deaf, self.asked = server, lag, deaf, []
        self.later = None

    def read(self, _name):
        if self.later is not None:
            self.lag -= 1
            if self.lag < 0:
                self.server, self.later = self.later, None
        return self.server

    def create(self, wanted):
        self.asked.append("create")
        parameters = {n: Parameter(v) for n, v in wanted.parameters.items()}
        self.later = replace(FOUND, version=wanted.version, parameters=parameters)

    def update(self, _name, changes):
        self.asked.append(changes)
        if not self.deaf:
            parameters = {n: Parameter(v, True) for n, v in changes.get("parameters", {}).items()}
            self.later = replace(
                self.server, parameters=parameters, pending_restart=bool(parameters)
            )

    def restart(self, _name):
        self.asked.append("restart")
        parameters = {n: Parameter(p.value) for n, p in self.server.parameters.items()}
        self.later = replace(self.server, parameters=parameters, pending_restart=False)


def run(driver, wanted, *, allowed=False, works=lambda *_: True):
    now = [0.0]
    deadline = Deadline(
        600, clock=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds)
    )
    return converge(
        driver, wanted, deadline=deadline, restart_allowed=allowed, password_works=works,
        check_mode=False,
    )  # fmt: skip


@pytest.mark.parametrize("lag", [0, 3])
def test_a_creation_that_reads_show_late_is_waited_for(lag):
    driver = Memory(None, lag=lag)
    outcome = run(driver, Wanted("shop", version=17, parameters={"work_mem": "4MB"}))
    assert (outcome.changed, outcome.server.state, driver.asked) == (True, "ready", ["create"])


def test_a_change_that_reads_show_late_is_waited_for_and_the_restart_too():
    driver = Memory(FOUND, lag=3)
    outcome = run(driver, Wanted("shop", parameters={"wal_level": "logical"}), allowed=True)
    assert driver.asked == [{"parameters": {"wal_level": "logical"}}, "restart"]
    assert (outcome.restarted, outcome.server.waiting_for_restart) == (True, [])


def test_a_change_that_is_never_shown_is_not_believed():
    with pytest.raises(NotConvergedError, match="wal_level is replica"):
        run(Memory(FOUND, deaf=True), Wanted("shop", parameters={"wal_level": "logical"}))


def test_a_restart_that_is_not_allowed_is_asked_for_by_name():
    with pytest.raises(NotConvergedError, match="take effect: wal_level"):
        run(Memory(FOUND), Wanted("shop", parameters={"wal_level": "logical"}))


def test_a_parameter_of_someone_else_that_waits_is_left_waiting():
    waiting = replace(FOUND, parameters={"work_mem": Parameter("1MB", True)}, pending_restart=True)
    driver = Memory(waiting)
    assert run(driver, Wanted("shop", version=17)).changed is False
    assert driver.asked == []


def test_a_failed_server_stops_the_run_with_its_reason():
    with pytest.raises(ApiError, match="server shop failed: quota"):
        run(Memory(replace(FOUND, state="failed", state_reason="quota")), Wanted("shop"))


def test_a_password_that_is_set_and_still_refused_is_not_believed():
    with pytest.raises(DeadlineError, match="to take the password of boss"):
        run(Memory(FOUND), Wanted("shop", admin_password="x"), works=lambda *_: False)
