"""`ansible-test sanity` on the collection where it lies.

Its own pip bootstrap wants a host that is none of the package registries; Python's ensurepip does
as well. The environments it makes are kept in the user's cache, so a second run takes seconds.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.conftest import BIN, COLLECTION, environment

pytestmark = pytest.mark.xdist_group("sanity")

BOOTSTRAP = "import ensurepip\n\nensurepip.bootstrap(default_pip=True)\n"

# On its own, as it takes longer than all others together.
PYLINT = "pylint"
COMPLAINTS = ("ERROR", "FATAL")


@pytest.fixture(scope="module")
def home():
    """A home for ansible-test, so that it leaves the user's alone."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "landbridge" / "ansible-test"
    bootstrap = folder / ".ansible/test/cache/get_pip_24_2.py"
    bootstrap.parent.mkdir(parents=True, exist_ok=True)
    bootstrap.write_text(BOOTSTRAP)
    return folder


def sanity(home, *arguments):
    """Return the exit code of ansible-test sanity and what it complains of."""
    python = ".".join(map(str, sys.version_info[:2]))
    config = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    done = subprocess.run(
        [BIN / "ansible-test", "sanity", "--python", python, "--color", "no", *arguments],
        cwd=COLLECTION,
        env=environment(HOME=str(home), XDG_CONFIG_HOME=config),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stdout.splitlines() if line.startswith(COMPLAINTS)]
    return done.returncode, "\n".join(complaints)


def test_ansible_test_finds_nothing_to_complain_of(home):
    code, complaints = sanity(home, "--skip-test", PYLINT)
    assert code == 0, complaints


@pytest.mark.slow
def test_pylint_as_ansible_sets_it_finds_nothing(home):
    code, complaints = sanity(home, "--test", PYLINT)
    assert code == 0, complaints
