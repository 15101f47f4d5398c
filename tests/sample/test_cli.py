"""The command line as a user has it: a local cloud, two servers, a sample that moves."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from localcloud.home import checkout
from localcloud.sample import cli

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.fixture(scope="module")
def localcloud():
    """Return a function that runs `localcloud …` in a cloud of this module's."""
    home = Path(tempfile.mkdtemp(prefix="landbridge-sample-"))
    home.chmod(0o711)
    environment = {**os.environ, "LOCALCLOUD_HOME": str(home), "PYTHONPATH": str(checkout())}

    def run(*arguments, status=0):
        argv = [sys.executable, "-m", "localcloud", *arguments]
        done = subprocess.run(
            argv, env=environment, cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == status, f"{done.stdout}{done.stderr}"
        return done.stdout if status == 0 else f"{done.stdout}{done.stderr}"

    run.home = home
    yield run
    run("down", "--delete")
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def servers(localcloud):
    """A server on each side, the old one with two of the sample's databases."""
    no_cloud = localcloud("sample", "load", "--cloud", "old", "--server", "old_postgres", status=1)
    assert (
        no_cloud == "localcloud sample: the local cloud is not up; start it with: localcloud up\n"
    )
    localcloud("up")
    for side in ("old", "new"):
        localcloud("server", "create", side, f"{side}_postgres")
    return {side: ["--cloud", side, "--server", f"{side}_postgres"] for side in ("old", "new")}


@pytest.fixture(scope="module")
def loaded(localcloud, servers):
    return json.loads(
        localcloud("sample", "load", *servers["old"], "--json", "media", "legacy"),
    )


def test_load_says_what_it_did_and_does_it_once(localcloud, servers, loaded):
    assert [(each["name"], each["changed"]) for each in loaded] == [
        ("media", True),
        ("legacy", True),
    ]
    again = localcloud("sample", "load", *servers["old"], "media", "legacy")
    assert again.count("there already") == 2
    assert 'Legacy "Billing"' in again


def test_names_point_to_what_was_loaded(localcloud, loaded):
    names = json.loads((localcloud.home / "names.json").read_text())
    assert set(names) == {"media", "legacy"}
    assert names["legacy"]["dbname"] == 'Legacy "Billing"'
    assert names["legacy"]["user"] == "legacy_app"
    assert names["legacy"]["sslmode"] == "verify-full"
    password = Path(names["legacy"]["password_file"])
    assert password == localcloud.home / "secrets" / "legacy_app"
    assert password.stat().st_mode & 0o777 == 0o600


def test_writers_start_and_stop_and_their_ledger_is_checked(localcloud, loaded):
    start = ("sample", "writers", "start", "legacy", "--rate", "100")
    assert localcloud(*start) == "started: legacy\n"
    assert localcloud(*start) == "started: all run already\n"
    status = localcloud("sample", "writers", "status", "legacy")
    assert status.splitlines()[1].endswith("writing")
    assert localcloud("sample", "writers", "stop") == "stopped: legacy\n"
    assert localcloud("sample", "writers", "stop") == "stopped: none runs\n"
    assert localcloud("sample", "writers", "status", "legacy").rstrip().endswith("stopped")
    report = json.loads(localcloud("sample", "ledger", "check", "--json"))
    assert report["passed"]
    [legacy] = report["databases"]
    assert legacy["acknowledged"] > 0
    assert legacy["lost_count"] == legacy["doubled_count"] == 0


def test_a_name_pointing_to_a_server_without_the_writes_fails_the_check(
    localcloud, servers, loaded
):
    localcloud("sample", "writers", "start", "legacy")
    localcloud("sample", "writers", "stop", "legacy")
    localcloud("sample", "load", *servers["new"], "legacy")  # the same content, but no writes
    repointed = json.loads(localcloud("sample", "repoint", *servers["new"], "legacy", "--json"))
    assert repointed["changed"] == ["legacy"]
    assert localcloud("sample", "repoint", *servers["new"], "legacy").endswith("nothing changed\n")
    report = json.loads(localcloud("sample", "ledger", "check", "legacy", "--json", status=1))
    assert not report["passed"]
    [legacy] = report["databases"]
    assert legacy["lost_count"] == legacy["acknowledged"] > 0
    assert len(legacy["lost"]) <= 20
    localcloud("sample", "repoint", *servers["old"], "legacy", "--wait", "5")
    localcloud("sample", "ledger", "check", "legacy")


def test_names_may_stand_for_databases_at_a_pooler(localcloud, servers, loaded):
    localcloud("pooler", "create", "old", "front", "--server", "old_postgres")
    at_pooler = ["--cloud", "old", "--pooler", "front"]
    said = json.loads(localcloud("sample", "repoint", *at_pooler, "media", "legacy", "--json"))
    assert sorted(said["changed"]) == ["legacy", "media"]
    names = json.loads((localcloud.home / "names.json").read_text())
    pooler = json.loads(localcloud("pooler", "status", "old", "front"))
    assert names["legacy"]["dbname"] == "legacy"
    assert names["legacy"]["port"] == pooler["port"]
    assert pooler["databases"]["legacy"]["dbname"] == 'Legacy "Billing"'
    localcloud("sample", "writers", "start", "legacy", "--connections", "8", "--rate", "80")
    localcloud("sample", "writers", "stop", "legacy")
    [legacy] = json.loads(localcloud("sample", "ledger", "check", "legacy", "--json"))["databases"]
    assert legacy["passed"]
    assert legacy["address"] == f"{pooler['host']}:{pooler['port']}"
    localcloud("sample", "repoint", *servers["old"], "media", "legacy")
    localcloud("sample", "load", *servers["old"], "--pooler", "front", "legacy", "--again")
    names = json.loads((localcloud.home / "names.json").read_text())
    assert names["legacy"]["dbname"] == "legacy"
    localcloud("sample", "repoint", *servers["old"], "media", "legacy")


def test_loading_again_begins_a_new_ledger(localcloud, servers, loaded):
    localcloud("sample", "writers", "start", "legacy")
    localcloud("sample", "load", *servers["old"], "legacy", "--again")  # stops the writer itself
    assert "stopped" in localcloud("sample", "writers", "status", "legacy")
    said = localcloud("sample", "ledger", "check", status=1)
    assert "there is no ledger in" in said


@pytest.mark.parametrize(
    "arguments,sentence",
    [
        (["load", "shopp", "--cloud", "old", "--server", "old_postgres"], "no database 'shopp'"),
        (["load", "--cloud", "old", "--server", "nowhere"], "nowhere"),
        (["repoint", "--cloud", "new", "--server", "nowhere"], "nowhere"),
        (["repoint", "--cloud", "new", "--pooler", "nowhere"], "no pooler nowhere"),
        (["writers", "start", "flights"], "only these services write: metrics, shop"),
        (["ledger", "check", "shop"], "has no name 'shop': load the sample first"),
    ],
)
def test_nonsense_is_answered_with_one_sentence(localcloud, servers, loaded, arguments, sentence):
    said = localcloud("sample", *arguments, status=1)
    assert sentence in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "option,value", [("--rate", "0"), ("--rate", "much"), ("--connections", "0")]
)
def test_a_load_must_be_a_positive_number(capsys, option, value):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["writers", "start", option, value])
    assert f"argument {option}" in capsys.readouterr().err
