"""Two runs, killed runs, and a server that goes away: never two at work, never none for long."""

import os
import signal
from pathlib import Path

import psycopg
import pytest

from tests.fix_journal import held, opened, reached, run

pytestmark = [pytest.mark.postgres, pytest.mark.fault]

STAGE = [opened("window"), reached("window", evidence={"sessions": 0})]


@pytest.fixture
def at_work(playbook, eventually):
    """Start a run and return it when it is in the midst of its tasks; `.go()` lets it go on."""
    started = []

    def start(*tasks, **how):
        place = playbook.folder / f"at-work-{len(started)}"
        process = playbook.start(run(), held(str(place)), *tasks, **how)
        process.go = Path(f"{place}.go").touch
        started.append(process)
        eventually(lambda: place.exists() or process.poll() is not None, timeout=60)
        assert process.poll() is None, process.paths.output.read_text()
        return process

    yield start
    for process in started:
        process.go()


def holders(migration):
    """Return the processes that hold the lease of a migration."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            argv = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if argv[-2:-1] == [migration.encode()] and b"lease_holder.py" in b"".join(argv):
            found.append(int(path.parent.name))
    return found


def test_a_second_run_is_refused_and_told_of_the_first(playbook, at_work):
    first = at_work(*STAGE)
    second = playbook(run(), *STAGE)
    lease = playbook(run(state="info")).results[0]["lease"]
    assert (lease["state"], lease["pid"]) == ("held", first.pid)
    who = f"{lease['username']}@{lease['hostname']}, process {first.pid}"
    assert second.rc == 2
    assert second.failure.startswith(
        f"another run of migration {playbook.migration} holds the lease: {who}, started"
        f" {lease['process_started']}; wait until it ends, or stop it with: kill {first.pid}"
    )
    first.go()
    assert playbook.finish(first).rc == 0


def test_of_two_runs_that_start_at_once_one_works(playbook):
    pair = [playbook.start(run(create=True), *STAGE) for _ in range(2)]
    codes = sorted(playbook.finish(process).rc for process in pair)
    assert codes in ([0, 2], [0, 0])  # the second may come when the first has ended
    done = playbook(run())
    assert len(done.results[0]["checkpoints"]) == 1
    assert len(done.results[0]["history"]) == codes.count(0) - 1


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_lets_the_next_begin_at_once(playbook, at_work, journal, signum, eventually):
    first = at_work(*STAGE)
    first.send_signal(signum)
    first.wait(60)
    second = playbook(run(), *STAGE)
    assert second.rc == 0, second.output
    states = {row["pid"]: row["state"] for row in second.results[0]["runs"]}
    assert states[first.pid] == "ended"
    eventually(lambda: not holders(playbook.migration))


def test_a_killed_run_is_finished_by_the_next_where_it_was(playbook, at_work):
    first = at_work()
    first.kill()
    first.wait(60)
    playbook(run(), STAGE[0])
    done = playbook(run(), *STAGE, run())
    assert len(done.results[-1]["checkpoints"]) == 1


def test_before_the_journal_exists_two_runs_are_kept_apart_too(playbook, at_work):
    playbook.server = {}
    first = at_work(*STAGE)
    second = playbook(run())
    assert f"process {first.pid}, started" in second.failure
    first.kill()
    first.wait(60)
    assert playbook(run(), *STAGE).rc == 0


def test_a_server_that_is_restarted_does_not_stop_the_run(
    playbook, at_work, journal, target_server, eventually
):
    first = at_work(*STAGE, run(state="info"))
    target_server.restart()
    first.go()
    done = playbook.finish(first)
    assert done.rc == 0, done.output
    assert done.results[-1]["lease"]["state"] == "mine"
    assert journal("SELECT count(*) FROM landbridge.run") == [(1,)]
    eventually(lambda: journal("SELECT outcome FROM landbridge.run") == [("ended",)])


def test_a_checkpoint_waits_for_a_server_that_is_away(playbook, at_work, target_server, eventually):
    first = at_work(*STAGE)
    target_server.stop()
    first.go()
    eventually(lambda: "trying for" in first.paths.output.read_text(), timeout=60)
    target_server.start()
    done = playbook.finish(first)
    assert done.rc == 0, done.output
    assert playbook.server["password"] not in done.output


def test_a_run_that_another_has_overtaken_writes_no_more(
    playbook, at_work, kill_sessions, target, eventually
):
    first = at_work(*STAGE)
    (holder,) = holders(playbook.migration)
    os.kill(holder, signal.SIGSTOP)
    kill_sessions(target)
    assert playbook(run(), *STAGE).rc == 0
    os.kill(holder, signal.SIGCONT)
    eventually(lambda: not holders(playbook.migration))
    first.go()
    done = playbook.finish(first)
    assert "another run has had it since" in done.failure


def test_the_holder_shows_no_password_and_keeps_no_folder_busy(playbook, at_work):
    at_work()
    (holder,) = holders(playbook.migration)
    password = playbook.server["password"].encode()
    for name in ("cmdline", "environ"):
        assert password not in Path(f"/proc/{holder}/{name}").read_bytes()
    for path in playbook.folder.rglob("*"):
        if path.is_file() and not path.name.startswith("hosts-"):
            assert password not in path.read_bytes(), path


def test_the_server_looks_every_20_s_if_the_control_node_is_still_there(at_work, target):
    at_work()
    with psycopg.connect(**target) as conn:
        (port,) = conn.execute(
            "SELECT client_port FROM landbridge.run JOIN pg_stat_activity a ON a.pid = backend_pid"
        ).fetchone()
    timer, ends = keepalive_timer(target["port"], port).split(":")
    assert (int(timer), int(ends, 16) <= 20 * os.sysconf("SC_CLK_TCK")) == (2, True)


def keepalive_timer(server_port, client_port):
    """Return `tr tm->when` of the server's socket; proc_net_tcp.rst: 2 is the keepalive timer."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, _, timer, *_ = line.split()
        ports = [int(address.split(":")[1], 16) for address in (local, remote)]
        if ports == [server_port, client_port]:
            return timer
    raise LookupError(f"no connection from {client_port} to {server_port}")
