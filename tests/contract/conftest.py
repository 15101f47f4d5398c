"""What the collection and the roles hold, as Ansible itself reads them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = ROOT / "collections/ansible_collections/landbridge/migration"
NAMESPACE = "landbridge.migration"
BIN = Path(sys.executable).parent

MODULES = sorted(path.stem for path in (COLLECTION / "plugins/modules").glob("*.py"))
ACTIONS = sorted(
    path.stem for path in (COLLECTION / "plugins/action").glob("*.py") if path.stem != "__init__"
)
# These act on the journal in the worker itself; every other one runs the module of its name.
ON_JOURNAL = ("checkpoint", "gate", "run")
ROLES = sorted(path.parent.parent.name for path in ROOT.glob("roles/*/tasks/main.yml"))


def environment(**more):
    """Return the environment for Ansible's commands, free of the caller's Ansible settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    path = f"{BIN}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTION.parents[2]), **more}


@pytest.fixture(scope="session")
def documents():
    """Every module as ansible-doc reads it, doc fragments merged in."""
    names = [f"{NAMESPACE}.{name}" for name in MODULES]
    done = subprocess.run(
        [BIN / "ansible-doc", "--json", "-t", "module", *names],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or done.stderr.strip():
        pytest.fail(f"ansible-doc: {done.stderr}", pytrace=False)
    found = json.loads(done.stdout)
    return {name.removeprefix(f"{NAMESPACE}."): document for name, document in found.items()}


def examples(document):
    """Return the tasks a module's EXAMPLES hold, those in blocks and plays included."""
    return list(_tasks(yaml.safe_load(document["examples"])))


def _tasks(items):
    for item in items:
        nested = [key for key in ("block", "rescue", "always", "tasks") if key in item]
        for key in nested:
            yield from _tasks(item[key])
        if not nested:
            yield item


def tracked_files():
    """Return every file of the checkout that git does not ignore, or all in a copy without git."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("this is no git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in listing.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]
