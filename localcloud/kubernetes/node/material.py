"""What a pod's words refer to: Secrets, ConfigMaps and tokens, read when they are needed."""

from __future__ import annotations

import time
from typing import Any

from .api import Api, Refused
from .volumes import decoded, token_keys

Object = dict[str, Any]

PATHS = {"Secret": "secrets", "ConfigMap": "configmaps"}
RENEWED_AT = 0.8  # of its lifetime: token_manager.go


class Material:
    """Reads for one pod; a token is kept until most of its lifetime is over."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tokens: dict[tuple[str, int], tuple[str, float]] = {}

    async def data(self, pod: Object) -> dict[tuple[str, str], dict[str, str] | None]:
        """Return the data of all that the pod refers to, by kind and name; None: not there."""
        namespace = pod["metadata"]["namespace"]
        return {
            (kind, name): await self._read(namespace, kind, name)
            for kind, name in sorted(references(pod["spec"]))
        }

    async def _read(self, namespace: str, kind: str, name: str) -> dict[str, str] | None:
        try:
            found = await self._api.get(f"/api/v1/namespaces/{namespace}/{PATHS[kind]}/{name}")
        except Refused as exc:
            # The node may read only what exists and its pods refer to: Node authorizer.
            if exc.status in (403, 404):
                return None
            raise
        data = decoded(kind, found) or {}
        return {name: value.decode(errors="surrogateescape") for name, value in data.items()}

    async def tokens(self, pod: Object) -> dict[tuple[str, int], str]:
        """Return the tokens of the pod's service account, by audience and lifetime."""
        found = {}
        for key in token_keys(pod):
            token, renewed_at = self._tokens.get(key, ("", 0.0))
            if time.time() >= renewed_at:
                token, renewed_at = await self._request(pod, *key)
                self._tokens[key] = token, renewed_at
            found[key] = token
        return found

    async def _request(self, pod: Object, audience: str, lifetime_s: int) -> tuple[str, float]:
        metadata, account = pod["metadata"], pod["spec"].get("serviceAccountName", "default")
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [audience] if audience else None,
                "expirationSeconds": lifetime_s,
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
            },
        }
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        answer = await self._api.create(path, body)
        token: str = answer["status"]["token"]
        return token, time.time() + lifetime_s * RENEWED_AT


def references(spec: Object) -> set[tuple[str, str]]:
    """Return the kind and name of every Secret and ConfigMap that a pod's spec refers to."""
    found: set[tuple[str, str]] = set()
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        for source in container.get("envFrom", []):
            found |= _named(source, "secretRef", "configMapRef", "name")
        for variable in container.get("env", []):
            source = variable.get("valueFrom") or {}
            found |= _named(source, "secretKeyRef", "configMapKeyRef", "name")
    for volume in spec.get("volumes", []):
        found |= _named(volume, "secret", "configMap", "secretName")
        for source in volume.get("projected", {}).get("sources", []):
            found |= _named(source, "secret", "configMap", "name")
    return found


def _named(source: Object, secret: str, config: str, secret_name: str) -> set[tuple[str, str]]:
    if secret in source:
        return {("Secret", source[secret][secret_name])}
    return {("ConfigMap", source[config]["name"])} if config in source else set()
