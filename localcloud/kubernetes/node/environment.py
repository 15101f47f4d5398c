"""A container's environment and command line, as the kubelet makes them of the pod's words.

Pure: what Secrets, ConfigMaps and the pod's own fields hold is handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Object = dict[str, Any]

# $(NAME) is replaced, $$(NAME) means $(NAME): third_party/forked/golang/expansion/expand.go.
REFERENCE = re.compile(r"\$(\$|\([^)$]*\))")
VARIABLE_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")


class Missing(Exception):  # noqa: N818  # what is missing is named in the message
    """A Secret, a ConfigMap or a key that a container needs is not there."""


Lookup = Callable[[str, str], Mapping[str, str] | None]


def expand(text: str, known: Mapping[str, str]) -> str:
    """Replace $(NAME) by the variable's value; an unknown name stays as it is.

    >>> expand("$(A)/$(B)/$$(A)", {"A": "1"})
    '1/$(B)/$(A)'
    """

    def replaced(found: re.Match[str]) -> str:
        word = found[1]
        return "$" if word == "$" else known.get(word[1:-1], found[0])

    return REFERENCE.sub(replaced, text)


def environment(
    container: Object, services: Mapping[str, str], pod: Mapping[str, str], lookup: Lookup
) -> dict[str, str]:
    """Return a container's variables: services', then envFrom's, then env's, in their order.

    :param pod: the values of fields by their paths (`field_values`).
    :param lookup: data of a "Secret" or "ConfigMap" by kind and name; None if it is not there.
    """
    found = dict(services)
    for source in container.get("envFrom", []):
        found.update(_all_of(source, lookup))
    for variable in container.get("env", []):
        value = _value(variable, container, found, pod, lookup)
        if value is not None:
            found[variable["name"]] = value
    return found


def _all_of(source: Object, lookup: Lookup) -> dict[str, str]:
    kind = "Secret" if "secretRef" in source else "ConfigMap"
    reference = source.get("secretRef") or source["configMapRef"]
    data = lookup(kind, reference["name"])
    if data is None:
        if reference.get("optional"):
            return {}
        raise Missing(f"{kind} {reference['name']} is not there")
    prefix = source.get("prefix", "")
    named = {prefix + name: value for name, value in data.items()}
    return {name: value for name, value in named.items() if VARIABLE_NAME.fullmatch(name)}


def _value(
    variable: Object,
    container: Object,
    known: Mapping[str, str],
    pod: Mapping[str, str],
    lookup: Lookup,
) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return expand(variable.get("value", ""), known)
    if "fieldRef" in source:
        return pod[source["fieldRef"]["fieldPath"]]
    if "resourceFieldRef" in source:
        return resource_value(container, source["resourceFieldRef"])
    if "secretKeyRef" in source:
        return _key_of("Secret", source["secretKeyRef"], lookup)
    return _key_of("ConfigMap", source["configMapKeyRef"], lookup)


def _key_of(kind: str, reference: Object, lookup: Lookup) -> str | None:
    data = lookup(kind, reference["name"])
    name = reference["key"]
    if data is not None and name in data:
        return data[name]
    if reference.get("optional"):
        return None
    what = f"{kind} {reference['name']}"
    raise Missing(f"{what} is not there" if data is None else f"{what} has no key {name}")


def resource_value(container: Object, reference: Object) -> str:
    """Return a container's request or limit as it is written; "0" if it has none."""
    kind, _, name = reference["resource"].partition(".")
    return str(container.get("resources", {}).get(kind, {}).get(name, "0"))


def field_values(pod: Object, pod_ip: str, host_ip: str, node: str) -> dict[str, str]:
    """Return what a fieldRef may name. A pod is told the address that it can really bind."""
    metadata, spec = pod["metadata"], pod["spec"]
    found = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "metadata.labels": _lines(metadata.get("labels", {})),
        "metadata.annotations": _lines(metadata.get("annotations", {})),
        "spec.nodeName": node,
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": host_ip,
        "status.hostIPs": host_ip,
        "status.podIP": pod_ip,
        "status.podIPs": pod_ip,
    }
    for field in ("labels", "annotations"):
        for name, value in metadata.get(field, {}).items():
            found[f"metadata.{field}['{name}']"] = value
    return found


def _lines(pairs: Mapping[str, str]) -> str:
    return "\n".join(f'{name}="{value}"' for name, value in sorted(pairs.items()))


def service_variables(services: Sequence[Object], namespace: str) -> dict[str, str]:
    """Return NAME_SERVICE_HOST and _PORT of the namespace's Services that have an address.

    The API server's own are left out: a client that sees them looks for its account in a file
    system that is not its own, one that does not takes KUBECONFIG.
    """
    found: dict[str, str] = {}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        host, ports = spec.get("clusterIP", "None"), spec.get("ports", [])
        is_api = (metadata["namespace"], metadata["name"]) == ("default", "kubernetes")
        if metadata["namespace"] != namespace or is_api or host in ("None", "") or not ports:
            continue
        start = f"{metadata['name'].upper().replace('-', '_')}_SERVICE"
        found |= {f"{start}_HOST": host, f"{start}_PORT": str(ports[0]["port"])}
        for each in ports:
            if name := each.get("name"):
                found[f"{start}_PORT_{name.upper().replace('-', '_')}"] = str(each["port"])
    return found


def command_line(
    container: Object, entry_point: Sequence[str], variables: Mapping[str, str]
) -> list[str]:
    """Return what to run: `command` replaces the image's entry point, `args` follow."""
    command = container.get("command")
    first = [expand(word, variables) for word in command] if command else list(entry_point)
    return [*first, *(expand(word, variables) for word in container.get("args", []))]


def rooted(text: str, root: str, mount_paths: Sequence[str]) -> str:
    """Put ``root`` before each mount path that ``text`` names, alone or as the start of a path.

    A process has no file system of its own: what a pod mounts at /etc/shop is at ROOT/etc/shop.

    >>> rooted("--config=/etc/shop/a.yml", "/pod", ["/etc/shop"])
    '--config=/pod/etc/shop/a.yml'
    """
    if not mount_paths:
        return text
    names = "|".join(re.escape(path.rstrip("/")) for path in sorted(mount_paths, reverse=True))
    return re.sub(rf"(?<![\w/.-])({names})(?![\w-]|\.\w)", lambda at: root + at[1], text)
