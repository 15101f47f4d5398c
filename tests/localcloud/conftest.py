"""A local cloud of the test's own, asked from outside: its command line, its API, its files."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest

from localcloud import daemon, processes
from localcloud.client import Client, server_path
from localcloud.home import Home
from localcloud.postgres import watch

CHECKOUT = Path(__file__).parent.parent.parent
PASSWORD = "canary/s3cret"


class Cloud:
    """A running local cloud, and what a test does with it."""

    def __init__(self, root):
        self.home = Home(root)
        self.environment = {**os.environ, "LOCALCLOUD_HOME": str(root), "PYTHONPATH": str(CHECKOUT)}

    @property
    def client(self):
        return Client(self.home)

    @property
    def daemon_pid(self):
        return daemon.running(self.home)

    def run(self, *arguments, check=True):
        """Run `localcloud ARGUMENTS` and return the finished process."""
        done = subprocess.run(
            [sys.executable, "-m", "localcloud", *arguments],
            env=self.environment, cwd="/", capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    def put(self, name, cloud="old", **body):
        body = {"admin_user": "boss", "admin_password": PASSWORD, **body}
        return self.client.call("PUT", server_path(cloud, name), body)

    def patch(self, name, cloud="old", **body):
        self.client.call("PATCH", server_path(cloud, name), body)
        return self.client.settle(cloud, name)

    def create(self, name, cloud="old", **body):
        """Create a server and return it as soon as it is ready."""
        self.put(name, cloud, **body)
        return self.client.settle(cloud, name)

    def read(self, name, cloud="old"):
        return self.client.read(cloud, name)

    def post(self, name, action, cloud="old"):
        return self.client.call("POST", f"{server_path(cloud, name)}/{action}")

    def connect(self, server, **keywords):
        """Connect as the admin, the strict way."""
        keywords = {
            "host": server["host"], "port": server["port"], "user": server["admin_user"],
            "password": PASSWORD, "dbname": "postgres", "sslmode": "verify-full",
            "sslrootcert": str(self.home.root / "ca.pem"), "connect_timeout": 10,
            **keywords,
        }  # fmt: skip
        return psycopg.connect(autocommit=True, **keywords)

    def postmaster(self, server):
        data = self.home.servers(server["cloud"]) / server["name"] / "data"
        return int((data / "postmaster.pid").read_text().splitlines()[0])

    def processes(self):
        """Return the pids of all that belongs to this cloud."""
        return processes.belonging_to(self.home.root)


@pytest.fixture(scope="session")
def make_cloud():
    """Return a function that brings up a local cloud; all go with this process."""
    top = Path(tempfile.mkdtemp(prefix="landbridge-cloud-"))
    top.chmod(0o711)
    watcher = subprocess.Popen(
        [sys.executable, watch.__file__, str(os.getpid()), str(top)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, start_new_session=True,
    )  # fmt: skip

    def make():
        cloud = Cloud(Path(tempfile.mkdtemp(dir=top)))
        cloud.run("up")
        return cloud

    yield make
    watch.clear(top)
    watcher.kill()
    watcher.wait()


@pytest.fixture(scope="session")
def cloud(make_cloud):
    """A local cloud that the session's tests share."""
    return make_cloud()


@pytest.fixture
def own_cloud(make_cloud):
    """A local cloud of this test alone: to be killed or taken down."""
    cloud = make_cloud()
    yield cloud
    watch.clear(cloud.home.root)
    shutil.rmtree(cloud.home.root, ignore_errors=True)


@pytest.fixture(scope="session")
def server(cloud):
    """A server of cloud old, version 17, that tests share and leave as they found it."""
    return cloud.create("shared", parameters={"max_connections": "50"})


@pytest.fixture
def api(cloud):
    """Return a function that sends anything to the API and returns the status and the answer."""
    from http.client import HTTPConnection

    def ask(method, path, body=None, token=None, headers=None):
        described = json.loads(cloud.home.api.read_text())
        connection = HTTPConnection(described["url"].removeprefix("http://"), timeout=30)
        given = {"Authorization": f"Bearer {described['token'] if token is None else token}"}
        text = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            connection.request(method, path, text, {**given, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    return ask
