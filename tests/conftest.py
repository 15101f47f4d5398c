"""What every test may use."""

import json
import os
import time

import pytest
from ansible.module_utils.testing import patch_module_args

pytest_plugins = [
    "tests.fix_postgres",
    "tests.fix_clone",
    "tests.fix_pooler",
    "tests.fix_crossing",
]

# Waiting is scaled by this on a slow machine.
SLOWNESS = float(os.environ.get("LANDBRIDGE_TEST_SLOWNESS", "1"))


@pytest.fixture(scope="session")
def eventually():
    """Return a function that waits until a predicate holds and returns what it returned."""

    def wait(predicate, timeout=10):
        deadline = time.monotonic() + timeout * SLOWNESS
        while not (found := predicate()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {timeout * SLOWNESS:g} s: {predicate}")
            time.sleep(0.02)
        return found

    return wait


@pytest.fixture
def run_module(capsys):
    """Return a function that runs a module's main() in process and returns its result."""

    def run(module, *, check_mode=False, diff=False, **params):
        args = {**params, "_ansible_check_mode": check_mode, "_ansible_diff": diff}
        with patch_module_args(args), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out)

    return run
