"""Clusters as the daemon makes them: by the API and the command line, whoever is killed."""

import json
import os
import signal
import ssl
import stat
from pathlib import Path

import pytest

from localcloud import processes
from localcloud.client import cluster_path
from localcloud.errors import LocalCloudError
from localcloud.kubernetes.cluster import Cluster
from localcloud.kubernetes.record import ClusterRecord

from .conftest import Client, Namespace
from .workloads import WAIT, container

NAME = "platform"


@pytest.fixture(scope="module")
def platform(programs, make_cloud):
    """A local cloud with a cluster in old and one in new."""
    made = make_cloud()
    for cloud in ("old", "new"):
        made.client.call("PUT", cluster_path(cloud, NAME), {})
    for cloud in ("old", "new"):
        made.client.settle_cluster(cloud, NAME)
    return made


def opened(platform, cloud="old"):
    """The cluster's own files and processes, looked at from outside of the daemon."""
    path = platform.home.kept(cloud, "kubernetes") / f"{NAME}.json"
    record = ClusterRecord.of_json(json.loads(path.read_text()))
    return Cluster(path.with_suffix(""), record.configuration(platform.home.images(cloud)))


def pids(cluster):
    return {each.name: each.pid for each in cluster.components}


def default_namespace(platform, eventually):
    return Namespace(Client(opened(platform)), "default", eventually)


def kill_daemon(platform, eventually):
    os.kill(platform.daemon_pid, signal.SIGKILL)
    eventually(lambda: platform.daemon_pid is None)


def test_two_clusters_are_there_each_with_an_authority_of_its_own(platform):
    found = {each["cloud"]: each for each in platform.client.clusters()}
    assert set(found) == {"old", "new"}
    assert found["old"]["ca"] != found["new"]["ca"]
    assert found["old"]["service_range"].startswith("127.10.")
    assert found["new"]["service_range"].startswith("127.20.")
    old, new = opened(platform), opened(platform, "new")
    stranger = Client(old, host=new.configuration.host, port=new.configuration.port)
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.call("GET", "/api/v1/namespaces")


def test_the_kubeconfig_is_for_its_owner_alone_and_kubectl_reads_it(platform):
    path = Path(platform.run("cluster", "kubeconfig", "old", NAME).stdout.strip())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = platform.client.call("GET", cluster_path("old", NAME))
    assert "PRIVATE KEY" not in json.dumps(told)
    shell = platform.run("shell", "old", "-c", "kubectl get nodes -o name; kubectl version")
    assert shell.stdout.startswith("node/node-1\n")
    assert f"Server Version: v{told['version']}" in shell.stdout


def test_the_command_line_lists_clusters_and_finds_them_there_already(platform):
    lines = platform.run("cluster", "list").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["new", NAME], ["old", NAME]]
    again = platform.run("cluster", "create", "old", NAME).stdout
    assert again.startswith(f"old/{NAME} is ready at https://127.0.0.1:")
    assert json.loads(platform.run("status", "--json").stdout)["clusters"][0]["state"] == "ready"


def test_a_version_that_is_not_offered_is_refused(platform):
    with pytest.raises(LocalCloudError, match=r"version 1\.2\.3 is not offered"):
        platform.client.call("PUT", cluster_path("old", "other"), {"version": "1.2.3"})


def test_a_killed_daemons_successor_takes_its_clusters_up_as_they_are(platform, eventually):
    before = pids(opened(platform))
    kill_daemon(platform, eventually)
    platform.run("up")
    assert pids(opened(platform)) == before
    assert None not in before.values()


def test_a_process_that_dies_is_started_again(platform, eventually):
    cluster = opened(platform)
    before = pids(cluster)
    os.kill(before["kube-scheduler"], signal.SIGKILL)
    eventually(lambda: pids(cluster)["kube-scheduler"] not in (None, before["kube-scheduler"]), 60)
    platform.client.settle_cluster("old", NAME)
    assert pids(cluster)["kube-apiserver"] == before["kube-apiserver"]


def test_a_process_whose_pid_was_not_written_down_is_replaced_and_not_doubled(platform, eventually):
    cluster = opened(platform)
    before = pids(cluster)["kube-controller-manager"]
    (cluster.folder / "kube-controller-manager" / "pid").unlink()
    eventually(lambda: pids(cluster)["kube-controller-manager"] not in (None, before), 60)
    platform.client.settle_cluster("old", NAME)
    assert not processes.alive(before)


def test_a_killed_nodes_containers_go_with_it_and_are_begun_again(platform, eventually, tmp_path):
    namespace = default_namespace(platform, eventually)
    namespace.pod("lasting", container(f"echo $$$$ >> {tmp_path}/pids; cd /; {WAIT}"))
    namespace.phase("lasting", "Running")
    node = next(each for each in opened(platform).components if each.name == "node")
    os.kill(node.pid, signal.SIGKILL)

    def restarted(pod):
        (status,) = pod["status"]["containerStatuses"]
        return status["restartCount"] == 1 and status["ready"]

    namespace.wait("Pod", "lasting", restarted, 60)
    first, second = (tmp_path / "pids").read_text().split()
    assert [processes.alive(int(pid)) for pid in (first, second)] == [False, True]
    namespace.delete("Pod", "lasting", gracePeriodSeconds=1)


@pytest.mark.parametrize("killed", [False, True], ids=["after a daemon", "after a killed daemon"])
def test_nothing_outlives_down_and_all_is_there_after_up(platform, eventually, killed):
    namespace = default_namespace(platform, eventually)
    name = f"kept-{killed}".lower()
    namespace.create("ConfigMap", name, data={"a": "1"})
    if killed:
        kill_daemon(platform, eventually)
    platform.run("down")
    assert platform.processes() == []
    platform.run("up")
    assert namespace.get("ConfigMap", name)["data"] == {"a": "1"}


def test_a_deleted_cluster_leaves_nothing_and_a_killed_daemons_half_made_one_is_finished(
    platform, eventually
):
    path = cluster_path("new", NAME)
    platform.run("cluster", "delete", "new", NAME)
    assert list(platform.home.kept("new", "kubernetes").iterdir()) == []
    with pytest.raises(LocalCloudError, match=f"cloud new has no cluster {NAME}"):
        platform.client.call("GET", path)
    platform.client.call("PUT", path, {})
    kill_daemon(platform, eventually)
    platform.run("up")
    assert platform.client.settle_cluster("new", NAME)["state"] == "ready"


@pytest.mark.parametrize(
    "name, body, words",
    [
        pytest.param("wanted", {"versoin": "1.35.4"}, "versoin is not known here", id="misspelt"),
        pytest.param("wanted", {"version": 1}, "version must be a text", id="no text"),
        pytest.param("..%2fx", {}, "'../x' is no", id="path as name"),
    ],
)
def test_a_wrong_request_is_refused_with_a_sentence(unbuilt, name, body, words):
    with pytest.raises(LocalCloudError) as caught:
        unbuilt.client.call("PUT", cluster_path("old", name), body)
    assert (caught.value.status, caught.value.code) == (400, "invalid")
    assert words in str(caught.value)


def test_without_its_programs_no_cluster_is_made_and_the_remedy_is_named(unbuilt):
    with pytest.raises(LocalCloudError) as caught:
        unbuilt.client.call("PUT", cluster_path("old", "wanted"), {})
    assert (caught.value.status, caught.value.code) == (409, "not_built")
    assert str(caught.value).endswith("run python -m localcloud build kubernetes")
    assert unbuilt.client.clusters() == []


@pytest.fixture(scope="module")
def unbuilt(make_cloud, tmp_path_factory):
    """A local cloud with an empty cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return make_cloud()
