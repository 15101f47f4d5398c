"""Manifests that the tests share."""

# In a manifest $$ means $ (see `expand`): a shell gets its own pid by $$$$.
WAIT = "while :; do sleep 0.1; done"

# Answers every connection with the pod's name, at the address that the pod is told.
ANSWER = """
import os, socket
with socket.create_server((os.environ["POD_IP"], 8080)) as server:
    while True:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            name = os.environ["HOSTNAME"]
            text = f"HTTP/1.0 200 OK\\r\\nContent-Length: {len(name)}\\r\\n\\r\\n{name}"
            connection.sendall(text.encode())
"""
POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}


def container(script=WAIT, name="main", **more):
    """A container that runs a shell script."""
    return {"name": name, "image": "busybox", "command": ["sh", "-c", script], **more}


def web(**more):
    """A container that answers by HTTP at port 8080."""
    return {
        "name": "web",
        "image": "python:3",
        "args": ["-S", "-c", ANSWER],
        "env": [POD_IP],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        **more,
    }


def deployment(*containers, replicas=1, app="web", **spec):
    """The spec of a Deployment."""
    template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": list(containers)}}
    selector = {"matchLabels": {"app": app}}
    return {"replicas": replicas, "selector": selector, "template": template, **spec}


def job(script, **more):
    """The spec of a Job."""
    return {
        "backoffLimit": 0,
        "template": {"spec": {"containers": [container(script)], "restartPolicy": "Never"}},
        **more,
    }


def service(app="web", **more):
    """The spec of a Service at port 8000."""
    ports = [{"name": "http", "port": 8000, "targetPort": "http"}]
    return {"selector": {"app": app}, "ports": ports, **more}
