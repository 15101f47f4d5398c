"""Faults at every step are many: a sample runs by default, all of them with --all-faults."""

from random import Random

from tests.fix_journal import journal, playbook  # noqa: F401


def pytest_configure(config):
    config.addinivalue_line("markers", "sampled(names, cases, count): run some of the cases")


def pytest_generate_tests(metafunc):
    if not (marker := metafunc.definition.get_closest_marker("sampled")):
        return
    names, cases, count = marker.args
    if not metafunc.config.getoption("--all-faults"):
        # pytest-randomly's seed is in the header and is the same for all workers.
        seed = metafunc.config.getoption("randomly_seed", 0)
        cases = sorted(Random(f"{seed}{metafunc.function.__name__}").sample(cases, count))
    metafunc.parametrize(names, cases, ids=lambda value: str(value).replace(" ", "_"))
