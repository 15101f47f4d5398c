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


class Program(NamedTuple):
    """A program's name and the package that it is built from."""

    name: str
    package: str


class Copy(NamedTuple):
    """A file that comes with the required module's source: its name here, and its path there."""

    name: str
    path: str


class Module(NamedTuple):
    """A folder of localcloud/tools: what it requires, and what is made of that.

    The linker sets the variables that the official builds set, else no version is told.
    """

    requires: str
    parts: tuple[Program | Copy, ...]
    variables: str = ""


MODULES = {
    "kubernetes": Module(
        "k8s.io/kubernetes",
        (
            Program("etcd", "go.etcd.io/etcd/server/v3"),
            Program("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            Program("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
            Program("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            Program("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ),
        """
        k8s.io/component-base/version.gitVersion=v{version}
        k8s.io/component-base/version.gitMajor={major}
        k8s.io/component-base/version.gitMinor={minor}
        k8s.io/client-go/pkg/version.gitVersion=v{version}
        """,
    ),
    "traefik": Module(
        "github.com/traefik/traefik/v3",
        (
            Program("traefik", "github.com/traefik/traefik/v3/cmd/traefik"),
            Copy(
                "traefik-crds.yml",
                "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml",
            ),
        ),
        "github.com/traefik/traefik/v3/pkg/version.Version={version}",
    ),
    "pebble": Module(
        "github.com/letsencrypt/pebble/v2",
        (Program("pebble", "github.com/letsencrypt/pebble/v2/cmd/pebble"),),
    ),
}


def version(module: str) -> str:
    """Return the version that go.mod pins, such as 1.35.4."""
    path, requires = TOOLS / module / "go.mod", MODULES[module].requires
    found = re.search(rf"{re.escape(requires)} v(\S+)", path.read_text(encoding="utf-8"))
    if found is None:
        raise LocalCloudError(f"{path} does not require {requires}")
    return found[1]


def kubernetes_version() -> str:
    return version("kubernetes")


def folder_of(module: str) -> Path:
    """Return the folder of a module's programs; another one as soon as a version changes."""
    source = TOOLS / module
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((source / name).read_bytes())
    return cache_folder() / f"{module}-{digest.hexdigest()[:16]}"


def missing(module: str) -> list[Program | Copy]:
    """Return what is still to be made."""
    folder = folder_of(module)
    return [each for each in MODULES[module].parts if not (folder / each.name).exists()]


def program(module: str, name: str) -> Path:
    """Return what was built. Raise LocalCloudError if it is not there; nothing is built here."""
    path = folder_of(module) / name
    if not path.exists():
        raise LocalCloudError(
            f"{name} is not built yet: run python -m localcloud build {module}",
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
            numbered = _numbered(say, index, len(wanted))
            if isinstance(each, Program):
                _build(module, each, folder, numbered)
            else:
                _copy(module, each, folder, numbered)
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
        count = f"{wanted.name}: %d of at most {_packages(module, wanted)} packages compiled"
        tail = _follow(go.stderr or iter(()), lambda compiled: say(count % compiled))
    if go.returncode:
        raise LocalCloudError(f"{wanted.name} cannot be built: {' '.join(tail)}")
    unfinished.rename(folder / wanted.name)
    say(f"{wanted.name} is built ({time.monotonic() - begun:.0f} s)")


def _copy(module: str, wanted: Copy, folder: Path, say: Callable[[str], None]) -> None:
    argv = [_go(), "list", "-m", "-f", "{{.Dir}}", MODULES[module].requires]
    found = subprocess.run(  # noqa: S603  # argv, no shell
        argv, cwd=TOOLS / module, capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise LocalCloudError(f"{wanted.name} cannot be had: {found.stderr.strip()}")
    unfinished = folder / f".{wanted.name}"
    shutil.copyfile(Path(found.stdout.strip()) / wanted.path, unfinished)
    unfinished.rename(folder / wanted.name)
    say(f"{wanted.name} is there")


def _numbered(say: Callable[[str], None], index: int, count: int) -> Callable[[str], None]:
    return lambda text: say(f"{index} of {count}: {text}")


def _packages(module: str, wanted: Program) -> int:
    """Return how many packages a program has; those that are in Go's cache are not compiled."""
    argv = [_go(), "list", "-deps", wanted.package]
    found = subprocess.run(  # noqa: S603  # argv, no shell
        argv, cwd=TOOLS / module, capture_output=True, text=True, check=False
    )
    return len(found.stdout.splitlines())


def _follow(lines: Iterator[str], say: Callable[[int], None]) -> list[str]:
    """Tell now and then how far Go is; return its last lines, which hold the error if any."""
    compiled, tail, said = 0, [""], time.monotonic()
    for line in lines:
        compiled += not line.startswith("go:")
        tail = [*tail[-9:], line.strip()]
        if time.monotonic() - said > SAY_EVERY_S:
            said = time.monotonic()
            say(compiled)
    return tail


def _ldflags(module: str) -> str:
    found = version(module)
    major, minor, *_ = found.split(".")
    variables = MODULES[module].variables.format(version=found, major=major, minor=minor)
    return " ".join(["-s", "-w", *(f"-X {each}" for each in variables.split())])


def _go() -> str:
    """Return Go's path: the machine's, or the one that scripts/setup go brings."""
    inside = Path(sysconfig.get_path("scripts")) / "go"
    if go := shutil.which("go") or (str(inside) if inside.exists() else None):
        return go
    raise LocalCloudError("Go is missing: install Go 1.26 or newer, or run scripts/setup go")
