"""Pods as any cluster runs them, here as processes: started, asked, told, stopped."""

import json
import ssl

import pytest

from localcloud import processes

from .conftest import Client, Refused
from .workloads import POD_IP, WAIT, container


def state(pod, index=0):
    """A container's status; before there is one, of one that nothing is known about."""
    unknown = [{"state": {}, "ready": False, "started": False}] * (index + 1)
    return pod["status"].get("containerStatuses", unknown)[index]


def reasons(namespace, pod):
    events = namespace.list("Event")
    return {each["reason"] for each in events if each["involvedObject"]["name"] == pod}


def test_secrets_and_config_maps_come_as_variables_and_as_files(namespace):
    namespace.create("Secret", "db", stringData={"password": "s3cret"})
    namespace.create("ConfigMap", "shop", data={"bucket": "old-bucket"})
    script = 'echo "$PASSWORD/$bucket/$URL"; cat /etc/db/password; stat -Lc " %a" /etc/db/password'
    key = {"secretKeyRef": {"name": "db", "key": "password"}}
    env = [
        {"name": "PASSWORD", "valueFrom": key},
        {"name": "URL", "value": "postgres://shop:$(PASSWORD)@db"},
    ]
    main = container(
        script, env=env,
        envFrom=[{"configMapRef": {"name": "shop"}}],
        volumeMounts=[{"name": "db", "mountPath": "/etc/db"}],
    )  # fmt: skip
    volumes = [{"name": "db", "secret": {"secretName": "db", "defaultMode": 0o400}}]
    namespace.pod("reader", main, volumes=volumes, restartPolicy="Never")
    namespace.phase("reader", "Succeeded")
    written = namespace.log("reader")
    assert written == "s3cret/old-bucket/postgres://shop:s3cret@db\ns3cret 400\n"


def test_a_mounted_config_map_follows_its_changes(namespace):
    namespace.create("ConfigMap", "shop", data={"motto": "first"})
    script = "while :; do cat /etc/shop/motto; echo; sleep 0.1; done"
    mount = {"name": "shop", "mountPath": "/etc/shop"}
    volumes = [{"name": "shop", "configMap": {"name": "shop"}}]
    namespace.pod("follower", container(script, volumeMounts=[mount]), volumes=volumes)
    namespace.logged("follower", "first")
    namespace.patch("ConfigMap", "shop", {"data": {"motto": "second"}})
    namespace.logged("follower", "second")


def test_init_containers_run_one_after_the_other_before_the_rest(namespace):
    mount = [{"name": "shared", "mountPath": "/shared"}]
    init = [
        container(f"echo {name} >> /shared/log", name, volumeMounts=mount)
        for name in ("one", "two")
    ]
    main = container("cat /shared/log", volumeMounts=mount)
    volumes = [{"name": "shared", "emptyDir": {}}]
    namespace.pod(
        "ordered", main, initContainers=init, volumes=volumes, restartPolicy="Never"
    )  # fmt: skip
    namespace.phase("ordered", "Succeeded")
    assert namespace.log("ordered") == "one\ntwo\n"


def test_a_failed_init_container_keeps_the_rest_from_starting(namespace):
    init = [container("exit 4", "first"), container("exit 0", "second")]
    namespace.pod("stuck", container(), initContainers=init, restartPolicy="Never")
    pod = namespace.phase("stuck", "Failed")
    first, second = (each["state"] for each in pod["status"]["initContainerStatuses"])
    assert first["terminated"]["exitCode"] == 4
    assert "waiting" in second
    assert "waiting" in state(pod)["state"]


def test_a_sidecar_runs_beside_and_ends_after(namespace):
    sidecar = container(f"echo up; {WAIT}", "proxy", restartPolicy="Always")
    namespace.pod(
        "beside", container("exit 0"), initContainers=[sidecar], restartPolicy="Never"
    )  # fmt: skip
    pod = namespace.phase("beside", "Succeeded")
    assert "terminated" in pod["status"]["initContainerStatuses"][0]["state"]
    assert namespace.log("beside", container="proxy") == "up\n"


def test_a_crashing_container_is_restarted_ever_more_slowly(namespace):
    script = 'echo "run of $HOSTNAME"; exit 7'
    namespace.pod("crashing", container(script))

    def looping(pod):
        return state(pod)["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff"

    found = state(namespace.wait("Pod", "crashing", lambda pod: looping(pod)))
    assert found["restartCount"] >= 1
    assert found["lastState"]["terminated"]["exitCode"] == 7
    assert namespace.get("Pod", "crashing")["status"]["phase"] == "Running"
    assert namespace.log("crashing", previous="true") == "run of crashing\n"
    assert "BackOff" in reasons(namespace, "crashing")


def test_a_container_that_fails_its_liveness_probe_is_restarted(namespace):
    probe = {"exec": {"command": ["test", "!", "-e", "ill"]}, "periodSeconds": 1}
    script = f"test -e second || {{ touch second; sleep 0.5; touch ill; {WAIT}; }}; rm ill; {WAIT}"
    main = container(script, livenessProbe={**probe, "failureThreshold": 1})
    namespace.pod("revived", main, terminationGracePeriodSeconds=1)
    pod = namespace.wait("Pod", "revived", lambda pod: _ready_after_restart(pod))
    assert state(pod)["lastState"]["terminated"]["exitCode"] == 143
    assert {"Unhealthy", "Killing"} <= reasons(namespace, "revived")


def _ready_after_restart(pod):
    found = pod["status"].get("containerStatuses", [{}])[0]
    return found.get("restartCount", 0) >= 1 and found["ready"]


def test_a_startup_probe_holds_back_the_others(namespace, tmp_path):
    probe = {"exec": {"command": ["test", "-e", str(tmp_path / "up")]}, "periodSeconds": 1}
    namespace.pod("slow", container(startupProbe={**probe, "failureThreshold": 60}))
    assert not state(namespace.phase("slow", "Running"))["started"]
    (tmp_path / "up").touch()
    namespace.wait("Pod", "slow", lambda pod: state(pod)["started"] and state(pod)["ready"])


def test_a_stopped_pod_gets_its_grace_period_to_end_by_itself(namespace, tmp_path, eventually):
    script = f"trap 'sleep 0.3; echo stopped > {tmp_path}/end; exit 0' TERM; echo up; {WAIT}"
    hook = {"preStop": {"exec": {"command": ["touch", str(tmp_path / "hook")]}}}
    namespace.pod("polite", container(script, lifecycle=hook))
    namespace.logged("polite", "up")
    namespace.delete("Pod", "polite")
    eventually(lambda: namespace.gone("Pod", "polite"), 30)
    assert (tmp_path / "end").read_text() == "stopped\n"
    assert (tmp_path / "hook").exists()


def test_a_pod_that_does_not_end_by_itself_is_killed_with_all_it_started(
    namespace, tmp_path, eventually
):
    script = f"trap '' TERM; setsid sleep 600 & echo $! > {tmp_path}/pid; echo up; {WAIT}"
    namespace.pod("stubborn", container(script), terminationGracePeriodSeconds=1)
    namespace.logged("stubborn", "up")
    namespace.delete("Pod", "stubborn")
    eventually(lambda: namespace.gone("Pod", "stubborn"), 30)
    assert not processes.alive(int((tmp_path / "pid").read_text()))


def test_an_unknown_image_and_a_missing_config_map_are_told_and_waited_for(namespace):
    main = container(f"echo $motto; {WAIT}", envFrom=[{"configMapRef": {"name": "late"}}])
    namespace.pod("waiting", main, container(name="other", image="registry.test/none:1"))

    def waits(pod, *wanted):
        told = pod["status"].get("containerStatuses", [])
        waiting = [each["state"].get("waiting", {}) for each in told]
        return [each.get("reason") for each in waiting] == [*wanted]

    pod = namespace.wait(
        "Pod", "waiting",
        lambda pod: waits(pod, "CreateContainerConfigError", "ErrImagePull"),
    )  # fmt: skip
    assert state(pod)["state"]["waiting"]["message"] == "ConfigMap late is not there"
    namespace.create("ConfigMap", "late", data={"motto": "at last"})
    namespace.wait("Pod", "waiting", lambda pod: waits(pod, None, "ErrImagePull"))
    assert namespace.log("waiting", container="main") == "at last\n"


def test_an_image_that_the_cloud_has_runs_its_entry_point_with_its_variables(
    namespace, cluster_folder
):
    image = {"entry_point": ["sh", "-c", "echo $GREETING $0"], "env": {"GREETING": "hello"}}
    table = json.dumps({"registry.old.test/shop/web": image})
    (cluster_folder / "images.json").write_text(table)
    main = {"name": "main", "image": "registry.old.test/shop/web:1", "args": ["you"]}
    namespace.pod("pulled", main, restartPolicy="Never")
    namespace.phase("pulled", "Succeeded")
    assert namespace.log("pulled") == "hello you\n"


def test_logs_are_followed_until_the_container_ends(namespace, admin, tmp_path):
    script = "for i in 1 2 3 4 5; do echo line $i; sleep 0.1; done"
    namespace.pod("talker", container(script), restartPolicy="Never")
    namespace.logged("talker", "line 1")
    followed = admin.kubectl("logs", "-f", "-n", namespace.name, "talker")
    assert followed == "".join(f"line {number}\n" for number in range(1, 6))
    assert admin.kubectl("logs", "--tail=2", "-n", namespace.name, "talker").split("\n")[0] == (
        "line 4"
    )
    timed = admin.kubectl("logs", "--timestamps", "--since=1h", "-n", namespace.name, "talker")
    times = [line.partition(" ")[0] for line in timed.splitlines()]
    assert len(times) == 5
    assert times == sorted(set(times))


def test_nobody_but_the_api_server_may_ask_the_node_for_logs(admin, cluster):
    node = admin.call("GET", "/api/v1/nodes/node-1")
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    host = cluster.configuration.network.node
    with pytest.raises(Refused, match="only the API server may ask"):
        Client(cluster, "admin", host=host, port=port).call("GET", "/containerLogs/default/x/y")
    with pytest.raises((ssl.SSLError, ConnectionError)):  # no session without a certificate
        Client(cluster, None, host=host, port=port).call("GET", "/containerLogs/default/x/y")


def test_a_pod_acts_as_its_service_account_and_may_do_what_its_role_says(namespace, admin):
    namespace.create("ServiceAccount", "reader")
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
    namespace.create("Role", "reader", rules=rules)
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": namespace.name}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    namespace.create("RoleBinding", "reader", subjects=[subject], roleRef=role)
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    namespace.pod(
        "actor", container(f"cat {account}/token"),
        serviceAccountName="reader", restartPolicy="Never",
    )  # fmt: skip
    namespace.phase("actor", "Succeeded")
    actor = admin.with_token(namespace.log("actor"))
    assert actor.call("GET", namespace.path("ConfigMap"))["items"]
    with pytest.raises(Refused, match='cannot list resource "secrets"') as caught:
        actor.call("GET", namespace.path("Secret"))
    assert caught.value.status == 403


def test_the_downward_api_tells_the_address_that_can_be_bound(namespace, cluster):
    namespace.pod("told", container("echo $POD_IP", env=[POD_IP]), restartPolicy="Never")
    pod = namespace.phase("told", "Succeeded")
    network = cluster.configuration.network
    assert namespace.log("told").strip() == network.real(pod["status"]["podIP"])


def test_a_pod_may_not_live_longer_than_its_deadline(namespace):
    namespace.pod("late", container(), activeDeadlineSeconds=1, terminationGracePeriodSeconds=1)
    assert namespace.phase("late", "Failed")["status"]["reason"] == "DeadlineExceeded"


def test_a_pod_deleted_by_force_leaves_no_process(namespace, eventually, tmp_path):
    namespace.pod("forced", container(f"echo $$$$ > {tmp_path}/pid; echo up; {WAIT}"))
    namespace.logged("forced", "up")
    pid = int((tmp_path / "pid").read_text())
    namespace.delete("Pod", "forced", gracePeriodSeconds=0)
    eventually(lambda: not processes.alive(pid), 20)


def test_the_nodes_files_are_for_nobody_else(cluster, namespace):
    folder = cluster.folder / "node"
    assert folder.stat().st_mode & 0o077 == 0
    assert cluster.admin_kubeconfig.stat().st_mode & 0o777 == 0o600
