"""What the control plane makes of Deployments, Jobs, CronJobs and Services, down to processes."""

import json
import socket
import urllib.request

import pytest

from .conftest import Client, Refused
from .workloads import container, deployment, job, service, web

ASK = """
import os, urllib.request
host, port = os.environ["WEB_SERVICE_HOST"], os.environ["WEB_SERVICE_PORT"]
print(urllib.request.urlopen(f"http://{host}:{port}").read())
"""


def rolled_out(found, replicas):
    status = found["status"]
    counts = (status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas"))
    seen = status.get("observedGeneration") == found["metadata"]["generation"]
    return seen and all(count == replicas for count in counts)


def condition(found, name):
    every = found["status"].get("conditions", [])
    return next((each["status"] for each in every if each["type"] == name), None)


def versions(namespace):
    pods = [each for each in namespace.list("Pod") if "deletionTimestamp" not in each["metadata"]]
    return {each["spec"]["containers"][0]["env"][0]["value"] for each in pods}


def ask(host, port):
    with urllib.request.urlopen(f"http://{host}:{port}/", timeout=10) as answer:
        return answer.read().decode()


def refused(host, port):
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex((host, port)) != 0


def test_a_deployment_is_rolled_out_rolled_back_and_scaled(namespace, admin):
    def versioned(version):
        return container(env=[{"name": "VERSION", "value": version}])

    spec = deployment(versioned("1"), replicas=2)
    spec["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    namespace.create("Deployment", "web", spec=spec)
    namespace.wait("Deployment", "web", lambda found: rolled_out(found, 2))
    namespace.patch(
        "Deployment", "web", {"spec": {"template": {"spec": {"containers": [versioned("2")]}}}}
    )
    namespace.wait("Deployment", "web", lambda found: rolled_out(found, 2))
    assert versions(namespace) == {"2"}
    admin.kubectl("rollout", "undo", "-n", namespace.name, "deployment/web")
    said = admin.kubectl("rollout", "status", "-n", namespace.name, "deployment/web")
    assert "successfully rolled out" in said
    assert versions(namespace) == {"1"}
    admin.kubectl("scale", "-n", namespace.name, "deployment/web", "--replicas=3")
    namespace.wait("Deployment", "web", lambda found: rolled_out(found, 3))
    admin.kubectl("scale", "-n", namespace.name, "deployment/web", "--replicas=0")
    namespace.wait("Deployment", "web", lambda found: rolled_out(found, 0))


def test_a_broken_new_version_leaves_the_old_one_serving(namespace):
    spec = deployment(container(), replicas=1, strategy={"rollingUpdate": {"maxUnavailable": 0}})
    namespace.create("Deployment", "web", spec=spec)
    namespace.wait("Deployment", "web", lambda found: rolled_out(found, 1))
    broken = container(image="registry.test/none:2")
    namespace.patch("Deployment", "web", {"spec": {"template": {"spec": {"containers": [broken]}}}})
    found = namespace.wait(
        "Deployment", "web", lambda found: found["status"].get("updatedReplicas") == 1
    )
    assert found["status"]["availableReplicas"] == 1


def test_a_service_answers_from_each_of_its_pods_and_by_its_load_balancer(
    namespace, eventually, cluster
):
    namespace.create("Deployment", "web", spec=deployment(web(), replicas=2))
    namespace.create("Service", "web", spec=service(type="LoadBalancer"))
    namespace.wait("Deployment", "web", lambda found: rolled_out(found, 2), 60)
    found = namespace.wait("Service", "web", lambda each: each["status"]["loadBalancer"])
    names = {each["metadata"]["name"] for each in namespace.list("Pod")}
    address = found["spec"]["clusterIP"]
    eventually(lambda: not refused(address, 8000))
    answers = set()
    eventually(lambda: answers.add(ask(address, 8000)) or answers == names, 20)
    balancer = found["status"]["loadBalancer"]["ingress"][0]["ip"]
    assert balancer in cluster.configuration.network.load_balancers
    assert ask(balancer, 8000) in names
    node_port = found["spec"]["ports"][0]["nodePort"]
    assert ask(cluster.configuration.network.node, node_port) in names


def test_only_ready_pods_are_endpoints_and_without_any_a_client_is_refused(
    namespace, eventually, tmp_path
):
    flag = tmp_path / "ready"
    probe = {"exec": {"command": ["test", "-e", str(flag)]}, "periodSeconds": 1}
    probe |= {"failureThreshold": 1}
    namespace.create("Service", "web", spec=service())
    namespace.pod("web", web(readinessProbe=probe))
    pod = namespace.phase("web", "Running")
    address = namespace.get("Service", "web")["spec"]["clusterIP"]
    assert condition(pod, "Ready") == "False"
    assert refused(address, 8000)
    flag.touch()
    namespace.wait("Pod", "web", lambda pod: condition(pod, "Ready") == "True")
    eventually(lambda: not refused(address, 8000))
    assert ask(address, 8000) == "web"
    flag.unlink()
    eventually(lambda: refused(address, 8000), 20)
    (found,) = namespace.list("EndpointSlice")
    assert [each["conditions"]["ready"] for each in found["endpoints"]] == [False]


def test_a_pod_finds_a_service_of_its_namespace_by_variables(namespace, eventually):
    namespace.create("Service", "web", spec=service())
    namespace.pod("web", web())
    address = namespace.get("Service", "web")["spec"]["clusterIP"]
    eventually(lambda: not refused(address, 8000), 40)
    client = {"name": "main", "image": "python", "args": ["-c", ASK]}
    namespace.pod("client", client, restartPolicy="Never")
    namespace.phase("client", "Succeeded", "Failed")
    assert namespace.log("client") == "b'web'\n"


def test_a_job_completes_with_its_exit_code_told(namespace):
    namespace.create("Job", "works", spec=job("echo done"))
    found = namespace.wait("Job", "works", lambda found: condition(found, "Complete") == "True")
    assert found["status"]["succeeded"] == 1
    (pod,) = namespace.list("Pod", **{"job-name": "works"})
    assert pod["status"]["phase"] == "Succeeded"
    assert namespace.log(pod["metadata"]["name"]) == "done\n"


def test_a_job_that_fails_is_tried_so_many_times_and_fails(namespace):
    namespace.create("Job", "breaks", spec=job("exit 5"))
    found = namespace.wait("Job", "breaks", lambda found: condition(found, "Failed") == "True")
    assert found["status"]["failed"] == 1
    (pod,) = namespace.list("Pod", **{"job-name": "breaks"})
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (pod["status"]["phase"], ended["exitCode"]) == ("Failed", 5)


@pytest.fixture(scope="session")
def every_minute(admin):
    """A CronJob made at the beginning, so that the next minute comes while other tests run."""
    namespace = "/api/v1/namespaces"
    admin.call("POST", namespace, {"metadata": {"name": "every-minute"}})
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": job("echo on time")}}
    body = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "clock"},
        "spec": spec,
    }
    admin.call("POST", "/apis/batch/v1/namespaces/every-minute/cronjobs", body)
    yield "/apis/batch/v1/namespaces/every-minute"
    admin.call("DELETE", f"{namespace}/every-minute")


@pytest.fixture(autouse=True)
def _cron_job_made_early(every_minute):
    pass


@pytest.mark.next_minute
def test_a_cron_job_makes_a_job_each_minute_and_it_runs(admin, every_minute, eventually):
    def completed():
        jobs = admin.call("GET", f"{every_minute}/jobs")["items"]
        return [each for each in jobs if condition(each, "Complete") == "True"]

    (first, *_) = eventually(completed, 90)
    assert first["metadata"]["ownerReferences"][0]["name"] == "clock"


def test_an_unknown_field_is_refused_by_name(namespace):
    with pytest.raises(Refused, match=r'unknown field "spec\.replcas"') as caught:
        namespace.create("Deployment", "web", spec={**deployment(container()), "replcas": 2})
    assert caught.value.status == 400
    assert namespace.list("Deployment") == []


def test_the_audit_log_tells_who_did_what_and_is_silent_about_the_control_plane(
    namespace, admin, cluster, eventually
):
    namespace.create("ServiceAccount", "curious")
    request = {"spec": {"expirationSeconds": 600}}
    token = admin.call("POST", namespace.path("ServiceAccount", "curious/token"), request)
    curious = admin.with_token(token["status"]["token"])
    with pytest.raises(Refused):
        curious.call("GET", namespace.path("Secret"))

    def found():
        lines = cluster.audit_log.read_text().splitlines()
        entries = [json.loads(line) for line in lines if line.endswith("}")]
        user = f"system:serviceaccount:{namespace.name}:curious"
        return [each for each in entries if each["user"]["username"] == user], entries

    eventually(lambda: found()[0])
    (entry,), every = found()
    assert (entry["verb"], entry["objectRef"]["resource"]) == ("list", "secrets")
    assert entry["annotations"]["authorization.k8s.io/decision"] == "forbid"
    users = {each["user"]["username"] for each in every}
    assert not [each for each in users if each.startswith(("system:node", "system:kube", "localc"))]


def test_the_node_may_read_no_secret_that_its_pods__name(namespace, cluster):
    namespace.create("Secret", "hidden", stringData={"a": "1"})
    with pytest.raises(Refused) as caught:
        Client(cluster, "node").call("GET", namespace.path("Secret", "hidden"))
    assert caught.value.status == 403


def test_two_replicas_may_use_the_same_port(namespace):
    namespace.create("Deployment", "web", spec=deployment(web(), replicas=2))
    namespace.wait("Deployment", "web", lambda found: rolled_out(found, 2), 60)
    restarts = [
        each["status"]["containerStatuses"][0]["restartCount"] for each in namespace.list("Pod")
    ]
    assert restarts == [0, 0]
