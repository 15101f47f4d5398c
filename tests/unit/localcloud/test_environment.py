"""A container's variables and command line, made of the pod's words."""

import pytest

from localcloud.kubernetes.node.environment import (
    Missing,
    command_line,
    environment,
    expand,
    field_values,
    rooted,
    service_variables,
)

DATA = {
    ("Secret", "db"): {"password": "s3cret", "user name": "odd"},
    ("ConfigMap", "shop"): {"BUCKET": "old-bucket", "not a name": "x"},
}


def lookup(kind, name):
    return DATA.get((kind, name))


def made(container, services=(), pod=None):
    return environment(container, dict(services), pod or {}, lookup)


@pytest.mark.parametrize(
    "text, expanded",
    [
        pytest.param("$(A)-$(B)", "1-2", id="known"),
        pytest.param("$(C)", "$(C)", id="unknown"),
        pytest.param("$$(A)", "$(A)", id="escaped"),
        pytest.param("$$$(A)", "$1", id="escaped dollar"),
        pytest.param("$A $( $", "$A $( $", id="no reference"),
    ],
)
def test_references_are_expanded_as_the_kubelet_does_it(text, expanded):
    assert expand(text, {"A": "1", "B": "2"}) == expanded


def test_a_variable_may_use_those_before_it_and_not_those_after():
    env = [
        {"name": "A", "value": "$(B)"},
        {"name": "B", "value": "b"},
        {"name": "C", "value": "$(B)$(HOST)"},
    ]
    found = made({"env": env}, {"HOST": "h"})
    assert (found["A"], found["C"]) == ("$(B)", "bh")


def test_env_wins_over_env_from_and_that_over_services():
    container = {
        "envFrom": [{"configMapRef": {"name": "shop"}}],
        "env": [{"name": "OWN", "value": "env"}],
    }
    found = made(container, {"BUCKET": "service", "OWN": "service", "KEPT": "service"})
    assert found == {"BUCKET": "old-bucket", "OWN": "env", "KEPT": "service"}


def test_env_from_puts_the_prefix_before_and_leaves_out_what_is_no_name():
    found = made({"envFrom": [{"prefix": "DB_", "secretRef": {"name": "db"}}]})
    assert found == {"DB_password": "s3cret"}


@pytest.mark.parametrize(
    "reference, words",
    [
        ({"name": "gone", "key": "x"}, "Secret gone is not there"),
        ({"name": "db", "key": "x"}, "Secret db has no key x"),
    ],
)
def test_a_missing_secret_or_key_is_named_unless_it_is_optional(reference, words):
    def container(**more):
        return {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {**reference, **more}}}]}

    with pytest.raises(Missing, match=words):
        made(container())
    assert made(container(optional=True)) == {}


def test_fields_of_the_pod_and_the_containers_resources_are_told():
    pod = {
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "u", "labels": {"app": "web"}},
        "spec": {},
    }
    container = {
        "resources": {"limits": {"memory": "64Mi"}},
        "env": [
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "LIMIT", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
        ],
    }
    found = made(container, pod=field_values(pod, "127.50.1.7", "127.40.1.1", "node-1"))
    assert found == {"IP": "127.50.1.7", "APP": "web", "LIMIT": "64Mi"}


def test_command_replaces_the_images_entry_point_and_args_follow_either():
    image = ["serve"]
    assert command_line({"args": ["$(A)"]}, image, {"A": "1"}) == ["serve", "1"]
    assert command_line({"command": ["run"], "args": ["x"]}, image, {}) == ["run", "x"]
    assert command_line({"command": ["run"]}, image, {}) == ["run"]


@pytest.mark.parametrize(
    "text, found",
    [
        ("/etc/shop/a.yml", "/pod/etc/shop/a.yml"),
        ("--config=/etc/shop", "--config=/pod/etc/shop"),
        ("cat /etc/shop/a /etc/shop/b", "cat /pod/etc/shop/a /pod/etc/shop/b"),
        ("/etc/shop/sub/x", "/pod/etc/shop/sub/x"),
        ("/etc/shopping", "/etc/shopping"),
        ("/etc/shop.d/x", "/etc/shop.d/x"),
        ("Look in /etc/shop.", "Look in /pod/etc/shop."),
        ("/srv/etc/shop", "/srv/etc/shop"),
        ("https://host/etc/shop", "https://host/etc/shop"),
    ],
)
def test_a_mount_path_is_rewritten_where_it_stands_alone_or_begins_a_path(text, found):
    assert rooted(text, "/pod", ["/etc/shop", "/etc/shop/sub"]) == found


def test_services_of_the_namespace_are_told_by_variables():
    def service(name, namespace="shop", address="127.10.1.9"):
        spec = {"clusterIP": address, "ports": [{"port": 80, "name": "http"}]}
        return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}

    services = [service("web-api"), service("db", address="None"), service("other", "mail")]
    assert service_variables(services, "shop") == {
        "WEB_API_SERVICE_HOST": "127.10.1.9",
        "WEB_API_SERVICE_PORT": "80",
        "WEB_API_SERVICE_PORT_HTTP": "80",
    }
    assert service_variables([service("kubernetes", "default")], "default") == {}
