"""Parameters as a managed service lets a customer set them: checked by Postgres itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import Any

import psycopg

from .. import processes
from ..errors import InvalidRequest
from .binaries import binaries

# Told for every server, set by the customer or not: what a migration asks about.
TOLD = [
    "autovacuum_max_workers",
    "lc_collate",
    "maintenance_work_mem",
    "max_connections",
    "max_locks_per_transaction",
    "max_logical_replication_workers",
    "max_parallel_maintenance_workers",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_sync_workers_per_subscription",
    "max_wal_senders",
    "max_wal_size",
    "max_worker_processes",
    "server_encoding",
    "shared_buffers",
    "shared_preload_libraries",
    "wal_level",
    "work_mem",
]

FOUND = """
SELECT lower(name), current_setting(name), pending_restart
  FROM pg_catalog.pg_settings
 WHERE lower(name) = ANY(%s)
 ORDER BY 1
"""


def check(major: int, parameters: Mapping[str, str]) -> None:
    """Raise InvalidRequest, with Postgres's words, for a name or value that it does not take.

    ``postgres -C`` reads its options and prints one parameter: nothing is started.
    """
    if not parameters:
        return  # and nothing is downloaded for the answer
    program = binaries(major) / "postgres"
    options = {
        "config_file": os.devnull,
        "data_directory": "/",
        "hba_file": os.devnull,
        "ident_file": os.devnull,
        **parameters,
    }
    argv = [str(program), "-C", "max_connections"]
    for name, value in options.items():
        argv += ["-c", f"{name}={value}"]
    done = subprocess.run(  # noqa: S603  # argv, no shell
        argv, cwd="/", env=processes.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if " FATAL: " in line or "HINT" in line]
        told = "; ".join(line.partition(": ")[2].strip() for line in lines)
        raise InvalidRequest(f"parameters: {told or done.stderr.strip()}")


def observe(conn: psycopg.Connection[Any], wanted: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return ``{name: {value, pending_restart}}``: the customer's parameters and TOLD.

    A value is as the customer wrote it, else as the server shows it.
    """
    names = sorted({*wanted, *TOLD})
    return {
        name: {"value": wanted.get(name, current), "pending_restart": pending}
        for name, current, pending in conn.execute(FOUND, [names]).fetchall()
    }
