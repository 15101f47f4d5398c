"""A pod's volumes: what files each holds, and how they appear all at once."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .environment import Lookup, Missing, resource_value

Object = dict[str, Any]

DEFAULT_MODE = 0o644


class File(NamedTuple):
    """A file's content and mode."""

    content: bytes
    mode: int


Files = dict[str, File]

# What a volume's files are made from, if it is of that kind; others are folders or links.
MADE_OF_FILES = ("secret", "configMap", "downwardAPI", "projected")


def decoded(kind: str, found: Object | None) -> dict[str, bytes] | None:
    """Return the data of a Secret or ConfigMap as bytes; None if it is not there."""
    if found is None:
        return None
    data = {name: value.encode() for name, value in (found.get("data") or {}).items()}
    if kind == "Secret":
        return {name: base64.b64decode(value) for name, value in data.items()}
    binary = found.get("binaryData") or {}
    return data | {name: base64.b64decode(value) for name, value in binary.items()}


class Sources(NamedTuple):
    """What volumes are filled from."""

    lookup: Lookup  # data as text (surrogateescape) by kind and name
    fields: Mapping[str, str]  # fieldRef's values
    containers: Mapping[str, Object]  # by name, for resourceFieldRef
    tokens: Mapping[tuple[str, int], str]  # by audience and lifetime


def files_of(volume: Object, sources: Sources) -> Files:
    """Return the files of a volume. Raise Missing if a source is not there and not optional."""
    if "projected" in volume:
        mode = volume["projected"].get("defaultMode", DEFAULT_MODE)
        found: Files = {}
        for each in volume["projected"].get("sources", []):
            found |= _projected(each, sources, mode)
        return found
    return _projected(volume, sources, DEFAULT_MODE)


def _projected(source: Object, sources: Sources, mode: int) -> Files:
    if secret := source.get("secret"):
        name = secret.get("secretName") or secret["name"]
        return _items("Secret", name, secret, sources, secret.get("defaultMode", mode))
    if config := source.get("configMap"):
        return _items("ConfigMap", config["name"], config, sources, config.get("defaultMode", mode))
    if token := source.get("serviceAccountToken"):
        return {token["path"]: File(sources.tokens[token_key(token)].encode(), mode)}
    downward = source.get("downwardAPI") or {}
    return {
        item["path"]: File(_field(item, sources).encode(), item.get("mode", mode))
        for item in downward.get("items", [])
    }


def token_key(source: Object) -> tuple[str, int]:
    """Return the audience and the lifetime in seconds of a projected token."""
    return source.get("audience", ""), source.get("expirationSeconds", 3600)


def token_keys(pod: Object) -> set[tuple[str, int]]:
    """Return the tokens that a pod's volumes hold."""
    return {
        token_key(source["serviceAccountToken"])
        for volume in pod["spec"].get("volumes", [])
        for source in volume.get("projected", {}).get("sources", [])
        if "serviceAccountToken" in source
    }


def _items(kind: str, name: str, source: Object, sources: Sources, mode: int) -> Files:
    data = sources.lookup(kind, name)
    if data is None:
        if source.get("optional"):
            return {}
        raise Missing(f"{kind} {name} is not there")
    items = source.get("items") or [{"key": each, "path": each} for each in data]
    found: Files = {}
    for item in items:
        if item["key"] in data:
            content = data[item["key"]].encode(errors="surrogateescape")
            found[item["path"]] = File(content, item.get("mode", mode))
        elif not source.get("optional"):
            raise Missing(f"{kind} {name} has no key {item['key']}")
    return found


def _field(item: Object, sources: Sources) -> str:
    if "fieldRef" in item:
        return sources.fields[item["fieldRef"]["fieldPath"]]
    reference = item["resourceFieldRef"]
    return resource_value(sources.containers[reference["containerName"]], reference)


def write(folder: Path, files: Files) -> None:
    """Make ``folder`` hold these files, all of them at once.

    As the kubelet does it (atomic_writer.go): the files lie in a folder of their own, `..data`
    links to it, and each name links into `..data`; replacing that one link changes them all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "..data"
    if _held(data) == files:
        return
    fresh = folder / f"..{secrets.token_hex(8)}"
    for name, (content, mode) in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content)
        path.chmod(mode)
    fresh.mkdir(exist_ok=True)
    before = folder / data.readlink() if data.is_symlink() else None
    _link(data, Path(fresh.name))
    tops = {Path(name).parts[0] for name in files}
    for top in tops:
        if not (folder / top).is_symlink():
            _link(folder / top, Path("..data") / top)
    for each in folder.iterdir():
        if not each.name.startswith("..") and each.name not in tops:
            each.unlink()
    if before is not None:
        shutil.rmtree(before)


def _link(path: Path, target: Path) -> None:
    temporary = path.with_name("..new")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.replace(path)


def _held(data: Path) -> Files | None:
    if not data.exists():
        return None
    paths = [path for path in data.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(data)): File(path.read_bytes(), path.stat().st_mode & 0o777)
        for path in paths
    }


def mount(root: Path, container: Object, volumes: Path, host_paths: Mapping[str, str]) -> None:
    """Link each mount path below ``root`` to its volume's folder, or to a path in it."""
    for each in sorted(container.get("volumeMounts", []), key=lambda each: len(each["mountPath"])):
        at = root / each["mountPath"].strip("/")
        volume = each["name"]
        target = Path(host_paths.get(volume) or volumes / volume)
        target = target / each.get("subPath", "")
        if not target.exists():  # a subPath of an emptyDir
            target.mkdir(parents=True)
        at.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(at):
            at.symlink_to(target)


def mount_paths(container: Object) -> list[str]:
    return [each["mountPath"] for each in container.get("volumeMounts", [])]
