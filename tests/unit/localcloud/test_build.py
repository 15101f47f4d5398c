"""Building a cluster's programs, with a Go that is a shell script."""

import os
import re

import pytest

from localcloud.errors import LocalCloudError
from localcloud.kubernetes import binaries
from localcloud.kubernetes.binaries import MODULES, build, folder_of, missing, program

NAMES = [each.name for each in MODULES["kubernetes"].parts]

GO = """#!/bin/sh
if [ "$1" = list ]; then dirname "$0"; exit; fi
while [ "$1" != -o ]; do shift; done
echo "$2" >> "$BUILT"
if [ "${2##*/.}" = "$FAILING" ]; then echo "main.go:1: syntax error" >&2; exit 1; fi
echo k8s.io/some/package >&2
echo program > "$2"
"""


@pytest.fixture
def go(tmp_path, monkeypatch):
    """A Go that notes what it was asked to build; it fails at what FAILING names."""
    path = tmp_path / "bin" / "go"
    path.parent.mkdir()
    path.write_text(GO)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BUILT", str(tmp_path / "built"))
    monkeypatch.setenv("FAILING", "")
    return tmp_path / "built"


def asked(go):
    return [line.rpartition("/.")[2] for line in go.read_text().splitlines()]


def test_every_program_is_built_once_and_progress_is_told(go):
    said = []
    folder = build("kubernetes", said.append)
    assert (asked(go), missing("kubernetes")) == (NAMES, [])
    assert program("kubernetes", "kubectl") == folder / "kubectl"
    assert said[0] == "1 of 5: building etcd"
    assert re.fullmatch(r"5 of 5: kubectl is built \(\d+ s\)", said[-1])
    build("kubernetes", said.append)
    assert asked(go) == NAMES


def test_a_build_that_failed_goes_on_with_what_is_missing(go, monkeypatch):
    monkeypatch.setenv("FAILING", "kube-scheduler")
    with pytest.raises(LocalCloudError, match=r"kube-scheduler cannot be built: .*syntax error"):
        build("kubernetes", lambda _: None)
    assert [each.name for each in missing("kubernetes")] == ["kube-scheduler", "kubectl"]
    monkeypatch.setenv("FAILING", "")
    build("kubernetes", lambda _: None)
    assert asked(go) == [*NAMES[:4], *NAMES[3:]]


def test_without_go_one_sentence_tells_what_to_do(go, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binaries.sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(LocalCloudError) as caught:
        build("kubernetes", lambda _: None)
    assert str(caught.value) == ("Go is missing: install Go 1.26 or newer, or run scripts/setup go")


def test_a_program_that_is_not_built_is_named_with_the_remedy(go):
    with pytest.raises(LocalCloudError, match=r"kubectl is not built yet: run .* build kubernetes"):
        program("kubernetes", "kubectl")


def test_another_version_of_a_module_has_another_folder(go, monkeypatch, tmp_path):
    before = folder_of("kubernetes")
    for name in ("go.mod", "go.sum"):
        (tmp_path / "kubernetes").mkdir(exist_ok=True)
        (tmp_path / "kubernetes" / name).write_text("module other\n")
    monkeypatch.setattr(binaries, "TOOLS", tmp_path)
    assert folder_of("kubernetes") != before


def test_the_version_is_the_one_that_go_mod_pins():
    text = (binaries.TOOLS / "kubernetes" / "go.mod").read_text()
    assert f"k8s.io/kubernetes v{binaries.kubernetes_version()}" in text
    assert f"version.gitVersion=v{binaries.kubernetes_version()}" in binaries._ldflags("kubernetes")


def test_a_file_of_the_modules_source_is_copied_beside_its_program(go):
    path = go.parent / "bin" / MODULES["traefik"].parts[1].path
    path.parent.mkdir(parents=True)
    path.write_text("kind: CustomResourceDefinition\n")
    folder = build("traefik", lambda _: None)
    assert (folder / "traefik-crds.yml").read_text() == "kind: CustomResourceDefinition\n"
    assert (folder / "traefik").exists()
