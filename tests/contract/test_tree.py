"""What holds for every file of the checkout."""

import re
import tomllib

import pytest
import yaml

from tests.contract.conftest import COLLECTION, ROOT, tracked_files

HEADER = (
    "# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)"
)

# Hosts that only a package client's configuration may know. In two parts, lest this file match.
HOSTS = [
    "files.python" "hosted.org", "registry.npm" "js.org", "proxy.go" "lang.org",
    "deb.deb" "ian.org", "repo.maven" ".apache.org", "pypi." "org/simple", "static.crates" ".io",
]  # fmt: skip
SECRETS = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b")
MOST_BYTES = 1_000_000


def texts():
    for path in tracked_files():
        data = path.read_bytes()
        if b"\0" not in data[:8000]:
            yield path, data.decode()


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.split(".")[1])
def test_no_file_names_a_package_registrys_host(host):
    assert [str(path) for path, text in texts() if host in text] == []


def test_the_lock_pins_versions_and_hashes_and_no_index():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if line and line[0] not in " #-"]
    assert all(re.match(r"[\w.-]+(\[[\w,-]+\])?==", line) for line in pins)
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    assert sum("--hash=sha256:" in line for line in lines) >= len(pins) > 50


def test_no_file_holds_a_key():
    assert [str(path) for path, text in texts() if SECRETS.search(text)] == []


def test_no_file_is_large():
    assert [str(path) for path in tracked_files() if path.stat().st_size > MOST_BYTES] == []


def test_every_plugin_carries_the_licence():
    plugins = [path for path in (COLLECTION / "plugins").rglob("*.py") if path.stat().st_size]
    bare = [path for path in plugins if HEADER not in path.read_text().splitlines()[:2]]
    assert plugins
    assert [str(path.relative_to(COLLECTION)) for path in bare] == []


def test_one_version_is_told_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    galaxy = yaml.safe_load((COLLECTION / "galaxy.yml").read_text())
    assert project["version"] == galaxy["version"]
    assert project["license"] == galaxy["license"][0] == "GPL-3.0-or-later"
    assert (ROOT / "COPYING").read_text() == (COLLECTION / "COPYING").read_text()


def test_scripts_are_executable_and_say_what_they_run_with():
    for path in (ROOT / "scripts").iterdir():
        if path.suffix in ("", ".py") and path.is_file():
            assert path.read_text().startswith("#!/usr/bin/env "), path
            assert path.stat().st_mode & 0o111, path
