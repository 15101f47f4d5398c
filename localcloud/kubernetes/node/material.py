"""What a pod's words refer to: Secrets, ConfigMaps and tokens, read when they are needed."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from .api import Api, Refused
from .volumes import decoded, token_keys

Object = dict[str, Any]
Data = dict[str, str]
Key = tuple[str, str, str]  # namespace, kind, name

PATHS = {"Secret": "secrets", "ConfigMap": "configmaps"}
FORGOTTEN_AFTER_S = 60.0
RENEWED_AT = 0.8  # of its lifetime: token_manager.go


class Objects:
    """Secrets and ConfigMaps as text, read for all pods of the node."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._read: dict[Key, tuple[float, asyncio.Task[Data | None]]] = {}

    async def data(self, namespace: str, kind: str, name: str, max_age_s: float) -> Data | None:
        """Return an object's data, at most so old; None if it is not there."""
        key, now_s = (namespace, kind, name), time.monotonic()
        at_s, reading = self._read.get(key, (0.0, None))
        if reading is None or now_s - at_s > max_age_s:
            reading = asyncio.create_task(self._get(*key))
            self._forget(now_s - FORGOTTEN_AFTER_S)
            self._read[key] = (now_s, reading)
        return await asyncio.shield(reading)

    def _forget(self, before_s: float) -> None:
        self._read = {key: read for key, read in self._read.items() if read[0] >= before_s}

    async def _get(self, namespace: str, kind: str, name: str) -> Data | None:
        try:
            found = await self._api.get(f"/api/v1/namespaces/{namespace}/{PATHS[kind]}/{name}")
        except Refused as exc:
            # The node may read only what exists and its pods refer to: Node authorizer.
            if exc.status in (403, 404):
                return None
            raise
        data = decoded(kind, found) or {}
        return {name: value.decode(errors="surrogateescape") for name, value in data.items()}


class Material:
    """What one pod needs; a token is kept until most of its lifetime is over."""

    def __init__(self, api: Api, objects: Objects) -> None:
        self._api = api
        self._objects = objects
        self._tokens: dict[tuple[str, int], tuple[str, float]] = {}

    async def data(self, pod: Object, max_age_s: float = 0.0) -> dict[tuple[str, str], Data | None]:
        """Return the data of all that the pod refers to, by kind and name; None: not there."""
        namespace = pod["metadata"]["namespace"]
        named = sorted(references(pod["spec"]))
        reading = (self._objects.data(namespace, *each, max_age_s) for each in named)
        return dict(zip(named, await asyncio.gather(*reading), strict=True))

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
