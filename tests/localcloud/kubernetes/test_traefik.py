"""Traefik as a pod: what comes to its load balancer is led to the pods behind a Service."""

import http.client
import os

import pytest

from localcloud.kubernetes import binaries

from .workloads import POD_IP, deployment, service, web

RULES = [
    {
        "apiGroups": [""],
        "resources": ["services", "secrets", "nodes", "configmaps"],
        "verbs": ["get", "list", "watch"],
    },
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["list", "watch"],
    },
    {"apiGroups": ["traefik.io"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
]
BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles"


@pytest.fixture(scope="session")
def crds(admin):
    """Traefik's kinds, known to the cluster."""
    if missing := binaries.missing("traefik"):
        reason = f"{missing[0].name} is not built: python -m localcloud build traefik"
        if os.environ.get("LANDBRIDGE_TEST_KUBERNETES"):
            pytest.fail(reason)
        pytest.skip(reason)
    path = binaries.program("traefik", "traefik-crds.yml")
    admin.kubectl("apply", "--server-side", "-f", str(path))
    admin.kubectl("wait", "--for=condition=Established", "-f", str(path))


@pytest.fixture
def account(crds, admin, namespace):
    """A service account that may read what Traefik reads, in every namespace."""
    name = f"traefik-{namespace.name}"
    namespace.create("ServiceAccount", "traefik")
    admin.call("POST", ROLE, {"metadata": {"name": name}, "rules": RULES})
    subject = {"kind": "ServiceAccount", "name": "traefik", "namespace": namespace.name}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    body = {"metadata": {"name": name}, "subjects": [subject], "roleRef": role}
    admin.call("POST", BINDING, body)
    yield "traefik"
    admin.call("DELETE", f"{BINDING}/{name}")
    admin.call("DELETE", f"{ROLE}/{name}")


@pytest.fixture
def traefik(account, namespace):
    """Traefik, ready, behind a load balancer; return the balancer's address."""
    container = {
        "name": "traefik",
        "image": "traefik:v3.6",
        "args": [
            "--entrypoints.web.address=$(POD_IP):8080",
            "--entrypoints.traefik.address=$(POD_IP):9000",
            "--ping",
            "--providers.kubernetescrd",
            "--providers.kubernetescrd.nativelbbydefault",
            f"--providers.kubernetescrd.namespaces={namespace.name}",
        ],
        "env": [POD_IP],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/ping", "port": 9000}, "periodSeconds": 1},
    }
    spec = deployment(container, app="traefik")
    spec["template"]["spec"]["serviceAccountName"] = account
    namespace.create("Deployment", "traefik", spec=spec)
    namespace.create("Service", "traefik", spec=service("traefik", type="LoadBalancer"))
    ready = namespace.wait("Service", "traefik", lambda found: found["status"]["loadBalancer"])
    namespace.wait(
        "Deployment", "traefik", lambda found: found["status"].get("availableReplicas"), 60
    )
    return ready["status"]["loadBalancer"]["ingress"][0]["ip"]


def ask(address, host):
    """Return the status and the text of an answer; 0 while nobody listens."""
    connection = http.client.HTTPConnection(address, 8000, timeout=10)
    try:
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def test_an_ingress_route_leads_to_the_pods_of_its_service(traefik, namespace, admin, eventually):
    namespace.create("Deployment", "web", spec=deployment(web()))
    namespace.create("Service", "web", spec=service())
    route = {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": "web"},
        "spec": {
            "entryPoints": ["web"],
            "routes": [
                {
                    "kind": "Rule",
                    "match": "Host(`shop.example`)",
                    "services": [{"name": "web", "port": "http"}],
                }
            ],
        },
    }
    path = f"/apis/traefik.io/v1alpha1/namespaces/{namespace.name}/ingressroutes"
    admin.call("POST", f"{path}?fieldValidation=Strict", route)
    namespace.wait("Deployment", "web", lambda found: found["status"].get("availableReplicas"), 60)
    eventually(lambda: ask(traefik, "shop.example")[0] == 200, 30)
    (pod,) = namespace.list("Pod", app="web")
    assert ask(traefik, "shop.example") == (200, pod["metadata"]["name"])
    assert ask(traefik, "other.example")[0] == 404
