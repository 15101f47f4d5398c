"""The sample's six databases, loaded once a session on a server of their own."""

import json
import subprocess
import sys

import pytest

from localcloud.home import checkout
from localcloud.sample import names, writers
from localcloud.sample.databases import DATABASES
from localcloud.sample.load import load
from localcloud.sample.places import Places
from localcloud.sample.workload import WORKLOADS


@pytest.fixture(scope="session")
def loaded_places(tmp_path_factory):
    """The home whose secrets the sample was loaded with."""
    return Places(tmp_path_factory.mktemp("loaded"))


@pytest.fixture(scope="session")
def sample_server(postgres, loaded_places):
    """The server that holds all six databases."""
    server = postgres(17, "sample")
    load(server.admin, DATABASES, loaded_places)
    return server


@pytest.fixture
def sample(sample_server):
    """The server's admin, a server dict."""
    sample_server.start()
    return sample_server.admin


@pytest.fixture
def places(sample, loaded_places, tmp_path):
    """A home of the test's own: names stand for the sample, ledgers are empty."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "secrets").symlink_to(loaded_places.home / "secrets")
    made = Places(home)
    names.repoint(made, {each.name: names.address(made, each, sample) for each in DATABASES})
    yield made
    writers.stop(made, list(WORKLOADS))


@pytest.fixture
def start(places):
    """Return a function that starts writers as a user does, and returns which were started."""

    def start(*chosen, rate=60, connections=2, wait=True):
        argv = [sys.executable, "-m", "localcloud", "sample", "--home", places.home, "writers"]
        argv += ["start", "--json", "--rate", str(rate), "--connections", str(connections)]
        argv += [*([] if wait else ["--no-wait"]), *chosen]
        done = subprocess.run(argv, cwd=checkout(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["started"]

    return start
