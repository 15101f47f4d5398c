"""One cluster for all tests, asked as any client asks it; each test has its own namespace."""

import http.client
import json
import os
import ssl
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import pytest

from localcloud.kubernetes import binaries
from localcloud.kubernetes.cluster import Cluster
from localcloud.kubernetes.configuration import Configuration
from localcloud.kubernetes.network import free_network
from localcloud.kubernetes.pki import tls_context
from localcloud.ports import free_port
from localcloud.postgres import watch

CHECKOUT = Path(__file__).parent.parent.parent.parent
CONTENT_TYPES = {
    "POST": "application/json",
    "PUT": "application/json",
    "PATCH": "application/strategic-merge-patch+json",
}
RESOURCES = {
    "Pod": "/api/v1/namespaces/{}/pods",
    "Service": "/api/v1/namespaces/{}/services",
    "Secret": "/api/v1/namespaces/{}/secrets",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "Event": "/api/v1/namespaces/{}/events",
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
}


def pytest_collection_modifyitems(items):
    """Put all tests of clusters on one worker, and what waits for the next minute last."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in ours:
        item.add_marker(pytest.mark.kubernetes)
        item.add_marker(pytest.mark.xdist_group("kubernetes"))
    items.sort(key=lambda item: item.get_closest_marker("next_minute") is not None)


def pytest_configure(config):
    config.addinivalue_line("markers", "next_minute: waits for what happens once a minute")


@pytest.fixture(scope="session")
def programs():
    """The folder of a cluster's programs."""
    if missing := binaries.missing("kubernetes"):
        reason = f"{missing[0].name} is not built: make clusters"
        if os.environ.get("LANDBRIDGE_TEST_KUBERNETES"):
            pytest.fail(reason)
        pytest.skip(reason)
    return binaries.folder_of("kubernetes")


@pytest.fixture(scope="session")
def cluster_folder():
    """A folder; all that belongs to it goes with this process, even if that is killed."""
    top = Path(tempfile.mkdtemp(prefix="landbridge-cluster-"))
    watcher = subprocess.Popen(
        [sys.executable, watch.__file__, str(os.getpid()), str(top)],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        start_new_session=True,
    )
    yield top
    watch.clear(top)
    watcher.kill()
    watcher.wait()


@pytest.fixture(scope="session")
def cluster(programs, cluster_folder):
    """A running cluster."""
    ports = []
    for _ in range(3):
        ports.append(free_port(["127.0.0.1"], ports))
    made = Cluster(
        cluster_folder / "cluster",
        Configuration(
            "old", "shop", free_network("old", ()), "127.0.0.1", *ports,
            dns_name="shop.old.localcloud.test", images=str(cluster_folder / "images.json"),
        ),
    )  # fmt: skip
    made.create()
    yield made
    made.stop()


class Refused(Exception):  # noqa: N818  # as HTTP's answers are spoken of
    """The API server's answer is an error."""

    def __init__(self, status, answer):
        self.status = status
        self.message = answer.get("message", "") if isinstance(answer, dict) else answer
        super().__init__(f"{status}: {self.message}")


class Client:
    """An identity's requests, and kubectl as the admin."""

    def __init__(self, cluster, identity="admin", token=None, host=None, port=None):
        self._cluster = cluster
        self._identity = identity
        self._token = token
        self._host = host or cluster.configuration.host
        self._port = port or cluster.configuration.port

    def with_token(self, token):
        """Return a client that shows a token, and no certificate."""
        return Client(self._cluster, None, token)

    def _context(self):
        if self._identity:
            return tls_context(self._cluster.folder, self._identity)
        return ssl.create_default_context(cafile=str(self._cluster.folder / "pki" / "ca.pem"))

    def call(self, method, path, body=None):
        headers = {"Content-Type": CONTENT_TYPES.get(method, "application/json")}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = http.client.HTTPSConnection(
            self._host, self._port, context=self._context(), timeout=30
        )
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        is_json = "json" in answer.getheader("Content-Type", "")
        found = json.loads(text) if is_json else text
        if answer.status >= 300:
            raise Refused(answer.status, found)
        return found

    def kubectl(self, *arguments, check=True):
        """Run kubectl as the admin; return what it says."""
        done = subprocess.run(
            [binaries.program("kubernetes", "kubectl"), *arguments],
            env={"KUBECONFIG": str(self._cluster.admin_kubeconfig), "HOME": "/nonexistent"},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done.stdout if check else done.stderr


class Namespace:
    """A namespace of a test's own."""

    def __init__(self, client, name, eventually):
        self.client = client
        self.name = name
        self._eventually = eventually

    def path(self, kind, name=""):
        return RESOURCES[kind].format(self.name) + (f"/{name}" if name else "")

    def create(self, kind, name, **fields):
        """Create an object, its fields checked strictly."""
        api = "v1" if "/api/v1/" in RESOURCES[kind] else RESOURCES[kind].split("/namespaces")[0][6:]
        metadata = {"name": name, **fields.pop("metadata", {})}
        body = {"apiVersion": api, "kind": kind, "metadata": metadata, **fields}
        return self.client.call("POST", self.path(kind) + "?fieldValidation=Strict", body)

    def get(self, kind, name):
        return self.client.call("GET", self.path(kind, name))

    def list(self, kind, **labels):
        selector = ",".join(f"{name}%3D{value}" for name, value in labels.items())
        query = f"?labelSelector={selector}" if labels else ""
        return self.client.call("GET", self.path(kind) + query)["items"]

    def patch(self, kind, name, body):
        return self.client.call("PATCH", self.path(kind, name), body)

    def delete(self, kind, name, **options):
        return self.client.call("DELETE", self.path(kind, name), options or None)

    def gone(self, kind, name):
        try:
            self.get(kind, name)
        except Refused as exc:
            return exc.status == 404
        return False

    def wait(self, kind, name, predicate, timeout=40):
        """Return the object as soon as the predicate holds of it."""
        found = {}

        def holds():
            found.update(self.get(kind, name))
            return predicate(found)

        self._eventually(holds, timeout)
        return found

    def pod(self, name, *containers, **spec):
        """Create a pod, its containers given by `container`."""
        metadata = {"labels": spec.pop("labels", {"app": name})}
        return self.create("Pod", name, metadata=metadata, spec={"containers": containers, **spec})

    def phase(self, name, *phases, timeout=40):
        """Return the pod as soon as it is in one of the phases."""
        return self.wait("Pod", name, lambda pod: pod["status"].get("phase") in phases, timeout)

    def log(self, name, **query):
        asked = "&".join(f"{key}={value}" for key, value in query.items())
        return self.client.call("GET", f"{self.path('Pod', name)}/log?{asked}")

    def logged(self, name, text, timeout=40):
        """Wait until the pod has written a text; return all it has written."""
        written = ""

        def there():
            nonlocal written
            try:
                written = self.log(name)
            except Refused:  # the container has not been started
                return False
            return text in written

        self._eventually(there, timeout)
        return written


@pytest.fixture(scope="session")
def admin(cluster):
    return Client(cluster)


@pytest.fixture
def namespace(admin, eventually):
    """A fresh namespace, ready for pods."""
    made = Namespace(admin, f"t-{uuid.uuid4().hex[:8]}", eventually)
    admin.call("POST", "/api/v1/namespaces", {"metadata": {"name": made.name}})
    for kind, name in (("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")):
        eventually(lambda kind=kind, name=name: not made.gone(kind, name))
    yield made
    admin.call("DELETE", f"/api/v1/namespaces/{made.name}")
