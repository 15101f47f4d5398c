"""The collection builds from its folder and works where nothing else of the checkout is."""

import subprocess
import tarfile

import pytest

from tests.contract.conftest import BIN, COLLECTION, MODULES, NAMESPACE, environment


def ansible(command, *arguments, cwd, **more):
    done = subprocess.run(
        [BIN / command, *arguments],
        cwd=cwd,
        env=environment(**more),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    ansible("ansible-galaxy", "collection", "build", "--output-path", folder, cwd=COLLECTION)
    (built,) = folder.glob("*.tar.gz")
    return built


def test_the_archive_holds_the_plugins_and_no_leavings(archive):
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert {f"plugins/modules/{name}.py" for name in MODULES} <= set(names)
    assert {"README.md", "COPYING", "meta/runtime.yml"} <= set(names)
    assert [n for n in names if "__pycache__" in n or n.startswith("tests/output")] == []


def test_it_installs_alone_and_its_modules_can_be_read(archive, tmp_path):
    ansible(
        "ansible-galaxy", "collection", "install", "--offline", "-p", tmp_path, archive,
        cwd=tmp_path, ANSIBLE_COLLECTIONS_PATH=str(tmp_path),
    )  # fmt: skip
    listing = ansible(
        "ansible-doc", "-l", "-t", "module", NAMESPACE,
        cwd=tmp_path, ANSIBLE_COLLECTIONS_PATH=str(tmp_path),
    )  # fmt: skip
    assert {line.split()[0] for line in listing.splitlines()} == {
        f"{NAMESPACE}.{name}" for name in MODULES
    }
