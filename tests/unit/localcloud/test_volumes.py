"""A pod's volumes as files, and its images."""

import base64

import pytest

from localcloud.kubernetes.node import images, volumes
from localcloud.kubernetes.node.environment import Missing
from localcloud.kubernetes.node.volumes import File, Sources, files_of

DATA = {("Secret", "db"): {"user": "shop", "password": "s3cret"}, ("ConfigMap", "app"): {"a": "1"}}
SOURCES = Sources(
    lookup=lambda kind, name: DATA.get((kind, name)),
    fields={"metadata.name": "web-1"},
    containers={"web": {"resources": {"limits": {"cpu": "2"}}}},
    tokens={("vault", 600): "token"},
)


def test_a_secret_is_a_file_for_each_key():
    found = files_of({"name": "v", "secret": {"secretName": "db", "defaultMode": 0o400}}, SOURCES)
    assert found == {"user": File(b"shop", 0o400), "password": File(b"s3cret", 0o400)}


def test_items_choose_keys_paths_and_modes():
    items = [{"key": "user", "path": "deep/name", "mode": 0o600}]
    found = files_of({"secret": {"secretName": "db", "items": items}}, SOURCES)
    assert found == {"deep/name": File(b"shop", 0o600)}


def test_a_projected_volume_holds_files_of_every_kind():
    sources = [
        {"secret": {"name": "db", "items": [{"key": "user", "path": "user"}]}},
        {"configMap": {"name": "app"}},
        {"serviceAccountToken": {"audience": "vault", "expirationSeconds": 600, "path": "token"}},
        {
            "downwardAPI": {
                "items": [
                    {"path": "pod", "fieldRef": {"fieldPath": "metadata.name"}},
                    {
                        "path": "cpu",
                        "resourceFieldRef": {"containerName": "web", "resource": "limits.cpu"},
                    },
                ]
            }
        },
    ]
    found = files_of({"projected": {"sources": sources}}, SOURCES)
    assert {name: file.content for name, file in found.items()} == {
        "user": b"shop", "a": b"1", "token": b"token", "pod": b"web-1", "cpu": b"2",
    }  # fmt: skip


def test_what_is_missing_is_named_unless_it_is_optional():
    with pytest.raises(Missing, match="ConfigMap gone is not there"):
        files_of({"configMap": {"name": "gone"}}, SOURCES)
    assert files_of({"configMap": {"name": "gone", "optional": True}}, SOURCES) == {}


def test_bytes_that_are_no_text_come_through():
    raw = bytes(range(256))
    data = {"data": {"raw": base64.b64encode(raw).decode()}}
    decoded = volumes.decoded("Secret", data)["raw"].decode(errors="surrogateescape")
    sources = SOURCES._replace(lookup=lambda *_: {"raw": decoded})
    assert files_of({"secret": {"secretName": "x"}}, sources)["raw"].content == raw


def test_files_change_all_at_once_and_those_that_are_gone_go(tmp_path):
    volumes.write(tmp_path, {"a": File(b"1", 0o644), "d/b": File(b"2", 0o600)})
    opened = (tmp_path / "..data").resolve()
    assert (tmp_path / "a").read_bytes() == b"1"
    assert (tmp_path / "d/b").stat().st_mode & 0o777 == 0o600
    volumes.write(tmp_path, {"a": File(b"3", 0o644)})
    assert (tmp_path / "a").read_bytes() == b"3"
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[:2] != "..") == ["a"]
    assert not opened.exists()


def test_files_that_are_the_same_are_not_written_again(tmp_path):
    files = {"a": File(b"1", 0o644)}
    volumes.write(tmp_path, files)
    before = (tmp_path / "..data").readlink()
    volumes.write(tmp_path, files)
    assert (tmp_path / "..data").readlink() == before


def test_a_volume_of_nothing_is_an_empty_folder(tmp_path):
    volumes.write(tmp_path / "v", {})
    assert [path.name for path in (tmp_path / "v").iterdir() if path.name[:2] != ".."] == []


TABLE = {"registry.test:5000/shop/web": {"entry_point": ["web"], "env": {"A": "1"}}}


@pytest.mark.parametrize(
    "reference, entry_point",
    [
        ("busybox", ["sh"]),
        ("busybox:1.36", ["sh"]),
        ("docker.io/library/busybox:1.36@sha256:00", ["sh"]),
        ("registry.k8s.io/pause:3.10", ["sleep", "infinity"]),
        ("registry.test:5000/shop/web:2", ["web"]),
        ("registry.test:5000/shop/web", ["web"]),
    ],
)
def test_an_image_is_found_by_its_name_whatever_its_tag(reference, entry_point):
    assert images.find(reference, TABLE).entry_point == entry_point


@pytest.mark.parametrize("reference", ["nginx", "other.test/shop/web:2", "shop/web", "my/busybox"])
def test_another_registrys_image_is_another_image(reference):
    assert images.find(reference, TABLE) is None


def test_an_exact_reference_comes_before_the_name():
    table = {**TABLE, "registry.test:5000/shop/web:broken": {"entry_point": ["false"]}}
    assert images.find("registry.test:5000/shop/web:broken", table).entry_point == ["false"]
    assert images.find("registry.test:5000/shop/web:2", table).entry_point == ["web"]
