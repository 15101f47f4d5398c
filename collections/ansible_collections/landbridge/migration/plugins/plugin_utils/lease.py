# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starting the process that holds the lease, from a worker of ansible-playbook.

The worker ends with its task, so it cannot hold the lease itself. The password goes to the holder
through a pipe, never by its arguments or environment.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.errors import DeadlineError, PostgresError
from ..module_utils.journal.records import Run
from ..module_utils.pg.connection import DEFAULTS, LIMITS, session_options

try:
    import psycopg
except ImportError:
    psycopg = None  # type: ignore[assignment]  # reported by connect(), which comes before

HOLDER = Path(__file__).with_name("lease_holder.py")
ANSWER_TIMEOUT_S = 30

# A vanished server is noticed within a minute, as the server notices a vanished control node.
KEEPALIVES = {"keepalives_idle": "20", "keepalives_interval": "10", "keepalives_count": "4"}
# Where to find Python, its packages and libpq's files; no secret among them.
ENVIRONMENT = (
    "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "VIRTUAL_ENV",
    "PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT", "PGSERVICEFILE", "PGPASSFILE", "KRB5CCNAME",
)  # fmt: skip


def hold_in_journal(
    server: Mapping[str, Any], version: int, migration: Mapping[str, Any], run: Run
) -> bool:
    """Take the lease with a process that keeps it until ansible-playbook ends.

    :param version: the server's version as a number, for the limits that it knows.
    :return: False if another run holds it.

    Raise PostgresError if the process cannot reach the journal.
    """
    keywords = {name: value for name, value in server.items() if value is not None}
    conninfo = psycopg.conninfo.make_conninfo(
        **{**DEFAULTS, **KEEPALIVES, "application_name": "landbridge lease"},
        options=session_options(),
        **keywords,
    )
    settings = [f"SET {name} = 0" for name, since in LIMITS.items() if version >= since]
    answer = _start({"conninfo": conninfo, "settings": settings, "migration": migration}, run)
    if answer["status"] == "error":
        raise PostgresError(f"journal: {answer['message']}", sqlstate=answer["sqlstate"])
    return bool(answer["status"] == "held")


def hold_file(lock: int, migration: str, run: Run) -> None:
    """Have a process keep the lock file's descriptor until ansible-playbook ends."""
    request: dict[str, Any] = {
        "conninfo": None,
        "settings": [],
        "migration": {"migration": migration},
    }
    _start(request, run, lock)


def _start(request: dict[str, Any], run: Run, *keep: int) -> dict[str, Any]:
    main_fd = _pidfd(run.pid)
    fds = (*keep, *([] if main_fd is None else [main_fd]))
    process = subprocess.Popen(  # noqa: S603  # argv is our own file and the migration's name
        [sys.executable, "-P", str(HOLDER), request["migration"]["migration"]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        pass_fds=fds,
        start_new_session=True,
    )
    try:
        whole = {**request, "run": asdict(run), "main_pid": run.pid, "main_fd": main_fd}
        return _ask(process, json.dumps(whole).encode() + b"\n")
    finally:
        if main_fd is not None:
            os.close(main_fd)


def _ask(process: subprocess.Popen[bytes], request: bytes) -> dict[str, Any]:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("both are pipes")
    with process.stdin, process.stdout:
        process.stdin.write(request)
        process.stdin.close()
        ready = select.select([process.stdout], [], [], ANSWER_TIMEOUT_S)[0]
        line = process.stdout.readline() if ready else b""
    if not line:
        process.kill()
        raise DeadlineError(
            f"the process that holds the lease did not answer in {ANSWER_TIMEOUT_S} s"
            if not ready
            else "the process that holds the lease ended at its start",
            retryable=not ready,
        )
    answer: dict[str, Any] = json.loads(line)
    return answer


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or a sandbox that lacks it
        return None
