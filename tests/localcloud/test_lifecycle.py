"""The daemon may end in any way: servers are found again, and none outlives `down`."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from localcloud import processes
from localcloud.errors import LocalCloudError
from localcloud.postgres import binaries

from .conftest import CHECKOUT

pytestmark = pytest.mark.postgres


def kill_daemon(cloud, eventually):
    os.kill(cloud.daemon_pid, signal.SIGKILL)
    eventually(lambda: cloud.daemon_pid is None)


def test_a_killed_daemons_successor_takes_its_servers_up_as_they_are(own_cloud, eventually):
    made = own_cloud.create("kept")
    postmaster, described = own_cloud.postmaster(made), own_cloud.home.api.read_text()
    with own_cloud.connect(made) as conn:
        kill_daemon(own_cloud, eventually)
        own_cloud.run("up")
        assert conn.execute("SELECT 1").fetchone() == (1,)
    assert own_cloud.postmaster(made) == postmaster
    assert own_cloud.read("kept") == made
    old, new = (text.splitlines()[-3:] for text in (described, own_cloud.home.api.read_text()))
    assert [line for line in old if "token" in line] == [line for line in new if "token" in line]


def test_a_daemon_killed_while_it_makes_a_server_finishes_it_later(own_cloud, eventually):
    own_cloud.put("begun")
    kill_daemon(own_cloud, eventually)
    own_cloud.run("up")
    with own_cloud.connect(own_cloud.read("begun")) as conn:
        assert conn.execute("SELECT current_user").fetchone() == ("boss",)


@pytest.mark.parametrize("killed", [False, True], ids=["after a daemon", "after a killed daemon"])
def test_nothing_is_left_after_down_and_all_is_there_after_up(own_cloud, eventually, killed):
    made = own_cloud.create("lasting")
    with own_cloud.connect(made) as conn:
        conn.execute("CREATE DATABASE shop")
    if killed:
        kill_daemon(own_cloud, eventually)
    assert own_cloud.processes()
    own_cloud.run("down")
    assert own_cloud.processes() == []
    assert own_cloud.run("down").stdout == "The local cloud is down\n"
    own_cloud.run("up")
    own_cloud.connect(made, dbname="shop").close()
    own_cloud.run("down", "--delete")
    assert not own_cloud.home.root.exists()
    assert own_cloud.processes() == []


def test_a_daemon_told_to_end_stops_its_servers(own_cloud, eventually):
    own_cloud.create("obedient")
    os.kill(own_cloud.daemon_pid, signal.SIGTERM)
    eventually(lambda: own_cloud.processes() == [], 30)


def test_there_is_one_daemon_only(own_cloud):
    pid = own_cloud.daemon_pid
    second = own_cloud.run("serve", check=False)
    assert second.returncode == 1
    assert second.stderr == f"localcloud: a daemon runs already, process {pid}\n"
    assert own_cloud.run("up").stdout.startswith("The local cloud was up already")
    assert own_cloud.daemon_pid == pid


def test_the_command_line_makes_uses_and_deletes_a_server(own_cloud):
    told = own_cloud.run("server", "create", "old", "shop", "--admin-user", "chief").stdout
    server = own_cloud.read("shop")
    assert told == f"old/shop is ready at {server['host']}:{server['port']}\n"
    secret = own_cloud.home.root / "secrets" / "chief"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    own_cloud.run("server", "update", "old", "shop", "--parameter", "work_mem=7MB")
    shown = own_cloud.run("psql", "old", "-c", "SELECT current_user, current_setting('work_mem')")
    assert "chief" in shown.stdout
    assert "7MB" in shown.stdout
    assert "shop" in own_cloud.run("status").stdout
    own_cloud.run("server", "delete", "old", "shop")
    assert own_cloud.client.servers() == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        pytest.param(["server", "show", "old", "shop"], "not up", id="down"),
        pytest.param(["server", "create", "old", "Shop"], "not up", id="create when down"),
        pytest.param(["psql", "old"], "not up", id="psql when down"),
    ],
)
def test_an_error_is_one_line(tmp_path, arguments, words):
    done = subprocess.run(
        [sys.executable, "-m", "localcloud", *arguments],
        env={**os.environ, "LOCALCLOUD_HOME": str(tmp_path)}, cwd=CHECKOUT,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


def test_servers_run_below_a_folder_with_a_very_long_name(make_cloud):
    cloud = make_cloud()
    deep = cloud.home.root / "/".join(["deep" * 8] * 4)
    deep.mkdir(parents=True)
    cloud.run("down")
    deeper = type(cloud)(deep)
    deeper.run("up")
    deeper.connect(deeper.create("low")).close()
    deeper.run("down", "--delete")


@pytest.mark.fault
def test_a_killed_test_runs_servers_go_with_it(tmp_path, eventually):
    test = tmp_path / "test_killed.py"
    test.write_text(
        "import os, pathlib\n"
        "def test_killed(postgres):\n"
        "    server = postgres(17)\n"
        f"    pathlib.Path({str(tmp_path)!r}, 'found').write_text(\n"
        "        f'{server.pid} {server.folder}')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    argv = [
        sys.executable, "-m", "pytest", "-q", "-p", "tests.fix_postgres",
        "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(test),
    ]  # fmt: skip
    done = subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stdout
    pid, folder = (tmp_path / "found").read_text().split(" ", 1)
    eventually(lambda: not processes.alive(int(pid)) and not Path(folder).parent.exists())


def test_binaries_that_are_not_the_pinned_ones_are_refused(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "package.json").write_text('{"name": "fake", "version": "1.0.0"}')
    with pytest.raises(LocalCloudError, match=r"has sha512 .*, wanted pinned"):
        binaries._fetch(str(package), "pinned", tmp_path / "installed")
    assert not (tmp_path / "installed").exists()
