"""The programs of a cluster, built once from pinned Go modules into the cache folder.

localcloud/tools/NAME is a Go module of ours that requires the official ones; its go.sum makes
every source file checked. Each program appears whole in the cache, and Go keeps what it has
compiled, so a build that was interrupted goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import LocalCloudError
from ..files import cache_folder, locked

TOOLS = Path(__file__).parent.parent / "tools"
SAY_EVERY_S = 10.0

# The linker sets what the official builds set; without it every version reads v0.0.0.
VERSION_VARIABLES = """
k8s.io/component-base/version.gitVersion=v{version}
k8s.io/component-base/version.gitMajor={major}
k8s.io/component-base/version.gitMinor={minor}
k8s.io/client-go/pkg/version.gitVersion=v{version}
"""


class Program(NamedTuple):
    """A program's name and the package that it is built from."""

    name: str
    package: str


PROGRAMS = {
    "kubernetes": (
        Program("etcd", "go.etcd.io/etcd/server/v3"),
        Program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        Program("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
        Program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
        Program("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ),
}


def kubernetes_version() -> str:
    """Return the version that go.mod pins, such as 1.35.4."""
    text = (TOOLS / "kubernetes" / "go.mod").read_text(encoding="utf-8")
    found = re.search(r"k8s\.io/kubernetes v(\S+)", text)
    if found is None:
        raise LocalCloudError("localcloud/tools/kubernetes/go.mod names no k8s.io/kubernetes")
    return found[1]


def folder_of(module: str) -> Path:
    """Return the folder of a module's programs; another one as soon as a version changes."""
    source = TOOLS / module
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((source / name).read_bytes())
    return cache_folder() / f"{module}-{digest.hexdigest()[:16]}"


def missing(module: str) -> list[Program]:
    """Return the programs that are still to be built."""
    folder = folder_of(module)
    return [each for each in PROGRAMS[module] if not (folder / each.name).exists()]


def program(module: str, name: str) -> Path:
    """Return a built program. Raise LocalCloudError if it is not built; nothing builds it here."""
    path = folder_of(module) / name
    if not path.exists():
        raise LocalCloudError(
            f"{name} is not built yet: run make clusters, or python -m localcloud build {module}",
            code="not_built",
            status=409,
        )
    return path


def build(module: str, say: Callable[[str], None]) -> Path:
    """Build what is missing of a module, telling progress by ``say``; return the folder.

    Raise LocalCloudError if Go is missing or fails.
    """
    folder = folder_of(module)
    folder.mkdir(exist_ok=True)
    with locked(folder / ".lock"):
        wanted = missing(module)
        for index, each in enumerate(wanted, 1):
            _build(module, each, folder, _numbered(say, index, len(wanted)))
    return folder


def _build(module: str, wanted: Program, folder: Path, say: Callable[[str], None]) -> None:
    say(f"building {wanted.name}")
    begun = time.monotonic()
    unfinished = folder / f".{wanted.name}"
    argv = [_go(), "build", "-v", "-trimpath", "-buildvcs=false", "-ldflags", _ldflags(module)]
    with subprocess.Popen(  # noqa: S603  # argv, no shell
        [*argv, "-o", str(unfinished), wanted.package],
        cwd=TOOLS / module,
        env={**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"},
        stderr=subprocess.PIPE,
        text=True,
    ) as go:
        tail = _follow(go.stderr or iter(()), wanted.name, say)
    if go.returncode:
        raise LocalCloudError(f"{wanted.name} cannot be built: {' '.join(tail)}")
    unfinished.rename(folder / wanted.name)
    say(f"{wanted.name} is built ({time.monotonic() - begun:.0f} s)")


def _numbered(say: Callable[[str], None], index: int, count: int) -> Callable[[str], None]:
    return lambda text: say(f"{index} of {count}: {text}")


def _follow(lines: Iterator[str], name: str, say: Callable[[str], None]) -> list[str]:
    """Tell now and then how far Go is; return its last lines, which hold the error if any."""
    compiled, tail, said = 0, [""], time.monotonic()
    for line in lines:
        compiled += not line.startswith("go:")
        tail = [*tail[-9:], line.strip()]
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            say(f"{name}: {compiled} packages compiled, now {line.strip()}")
    return tail


def _ldflags(module: str) -> str:
    flags = ["-s", "-w"]
    if module == "kubernetes":
        version = kubernetes_version()
        major, minor, *_ = version.split(".")
        filled = VERSION_VARIABLES.format(version=version, major=major, minor=minor)
        flags += [word for each in filled.split() for word in ("-X", each)]
    return " ".join(flags)


def _go() -> str:
    """Return Go's path: the machine's, or the one that scripts/setup go brings."""
    inside = Path(sysconfig.get_path("scripts")) / "go"
    if go := shutil.which("go") or (str(inside) if inside.exists() else None):
        return go
    raise LocalCloudError("Go is missing: install Go 1.26 or newer, or run scripts/setup go")
