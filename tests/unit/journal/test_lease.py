import os
import subprocess
import sys

import pytest

from ansible_collections.landbridge.migration.plugins.module_utils.errors import PreconditionError
from ansible_collections.landbridge.migration.plugins.module_utils.journal import lease, schema
from ansible_collections.landbridge.migration.plugins.module_utils.journal.lease import Holder


def holder(run):
    return Holder(7, run.run_id, run.username, run.hostname, run.pid, run.process_started)


def test_a_run_is_the_same_for_every_worker_and_another_for_another_migration():
    mine = lease.this_run(os.getpid(), "acme")
    assert mine == lease.this_run(os.getpid(), "acme")
    assert mine.run_id != lease.this_run(os.getpid(), "other").run_id
    assert mine.run_id != lease.this_run(os.getppid(), "acme").run_id


def test_a_migration_has_a_key_that_fits_a_bigint():
    keys = [lease.lock_key(f"migration {number}") for number in range(100)]
    assert len(set(keys)) == 100
    assert all(-(2**63) <= key < 2**63 for key in keys)


def test_a_holder_that_lives_has_not_ended_and_one_that_is_gone_has():
    assert not lease.ended_here(holder(lease.this_run(os.getpid(), "acme")))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        gone = holder(lease.this_run(process.pid, "acme"))
        process.communicate(b"\n")
    assert lease.ended_here(gone)
    assert not lease.ended_here(gone._replace(hostname="elsewhere"))


def test_another_process_with_the_same_number_is_not_the_holder():
    mine = holder(lease.this_run(os.getpid(), "acme"))
    assert lease.ended_here(mine._replace(process_started="2020-01-01T00:00:00.000Z"))


def test_the_refusal_names_who_since_when_and_what_to_do():
    who = Holder(7, "id", "ops", "control", 4711, "2026-05-04T21:00:00.000Z")
    assert lease.refusal("acme", who) == (
        "another run of migration acme holds the lease: ops@control, process 4711, started"
        " 2026-05-04T21:00:00.000Z; wait until it ends, or stop it with: kill 4711 (on control)"
    )
    unknown = Holder(7, None, None, None, None, None)
    assert lease.refusal("acme", unknown).endswith("holds the lease (session 7 of the journal)")


@pytest.mark.parametrize("found, due", [(0, [1, 2, 3]), (2, [3]), (3, [])])
def test_migrations_that_are_not_applied_yet_are_due(found, due):
    assert list(schema.plan(found, 3)) == due


def test_tables_of_a_newer_version_are_refused():
    with pytest.raises(PreconditionError, match="a newer Landbridge"):
        schema.plan(4, 3)
