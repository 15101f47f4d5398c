# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lease: one run at a time works on a migration.

It is a session's advisory lock in the journal, so it ends with the session, whatever ends that.
The row of the run tells who is behind the session. This file imports nothing of Ansible: the
process that holds the lease does little else for as long as a run lasts.
"""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .records import Run, elapsed_s, utc

if TYPE_CHECKING:
    import psycopg

# The server notices within a minute that a control node has vanished; Postgres, section 19.3.
KEEPALIVES = """
SET tcp_keepalives_idle = 20;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 4
"""
CHANNEL = "landbridge_lease"
CLOCK_SLACK_S = 2.0
OVERTAKEN = "another run has had it since"

LOCK = "SELECT pg_try_advisory_lock(%s)"
UNLOCK = "SELECT pg_advisory_unlock(%s)"

BEGIN_MIGRATION = """
INSERT INTO landbridge.migration (name, description, rehearsal_of)
VALUES (%(migration)s, %(description)s, %(rehearsal_of)s)
ON CONFLICT (name) DO NOTHING
"""
BEGIN_RUN = """
INSERT INTO landbridge.run
  (run_id, migration, kind, username, hostname, pid, process_started, backend_pid)
VALUES (%(run_id)s, %(migration)s, %(kind)s, %(username)s, %(hostname)s, %(pid)s,
        %(process_started)s, pg_backend_pid())
ON CONFLICT (run_id) DO UPDATE
SET backend_pid = pg_backend_pid(), finished = NULL, outcome = NULL
"""
RETAKE_RUN = """
UPDATE landbridge.run r
SET backend_pid = pg_backend_pid()
WHERE r.run_id = %(run_id)s
  AND NOT EXISTS (
    SELECT FROM landbridge.run later
    WHERE later.migration = r.migration AND later.started > r.started
  )
"""
END_RUN = """
UPDATE landbridge.run
SET finished = now(), outcome = 'ended'
WHERE run_id = %s AND finished IS NULL
"""
# A bigint key is shown in two halves: Postgres, section 53.13, pg_locks.
LOSE_RUN = """
UPDATE landbridge.run
SET finished = now(), outcome = 'lost'
WHERE run_id = %s AND finished IS NULL
"""
HOLDER = """
SELECT l.pid, r.run_id::text, r.username, r.hostname, r.pid, r.process_started
FROM pg_locks l
JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
LEFT JOIN landbridge.run r ON r.backend_pid = l.pid AND r.migration = %(migration)s
WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
  AND (l.classid::bigint << 32 | l.objid::bigint) = %(key)s
ORDER BY r.started DESC NULLS LAST
LIMIT 1
"""


class Holder(NamedTuple):
    """Who holds a lease; all but the session's pid is None if no row of a run tells."""

    backend_pid: int
    run_id: str | None
    username: str | None
    hostname: str | None
    pid: int | None
    process_started: str | None


def lock_key(migration: str) -> int:
    """Return the advisory lock's key: a signed 64-bit number."""
    seed = hashlib.sha256(f"landbridge lease {migration}".encode()).digest()
    return int.from_bytes(seed[:8], "big", signed=True)


def read_holder(conn: psycopg.Connection, migration: str) -> Holder | None:
    """Return who holds the lease of ``migration``, None if nobody does."""
    row = conn.execute(HOLDER, {"migration": migration, "key": lock_key(migration)}).fetchone()
    if row is None:
        return None
    backend_pid, run_id, username, hostname, pid, started = row
    return Holder(backend_pid, run_id, username, hostname, pid, started and utc(started))


def take(conn: psycopg.Connection, migration: dict[str, str | None], run: Run) -> bool:
    """Take the lease and write the run's row; return False if another session holds the lease."""
    if not _locked(conn, str(migration["migration"])):
        return False
    with conn.transaction():
        conn.execute(BEGIN_MIGRATION, migration)
        conn.execute(BEGIN_RUN, {**row_of(run), **migration})
    return True


def retake(conn: psycopg.Connection, migration: str, run_id: str) -> bool | None:
    """Take the lease again after the session was lost.

    Return False if another session holds it, None if another run has had it in between: then it
    must not be taken, since what this run has seen is no longer so.
    """
    if not _locked(conn, migration):
        return False
    if conn.execute(RETAKE_RUN, {"run_id": run_id}).rowcount:
        return True
    conn.execute(LOSE_RUN, [run_id])
    conn.execute(UNLOCK, [lock_key(migration)])
    return None


def refusal(migration: str, holder: Holder | None) -> str:
    """Return the sentence that a second run gets."""
    if holder is None or holder.run_id is None:
        session = f" (session {holder.backend_pid} of the journal)" if holder else ""
        return f"another run of migration {migration} holds the lease{session}"
    return (
        f"another run of migration {migration} holds the lease:"
        f" {holder.username}@{holder.hostname}, process {holder.pid}, started"
        f" {holder.process_started}; wait until it ends, or stop it with: kill {holder.pid}"
        f" (on {holder.hostname})"
    )


def row_of(run: Run) -> dict[str, str | int]:
    """Return the values of a run's row."""
    return {name: getattr(run, name) for name in Run.__dataclass_fields__}


def ended_here(holder: Holder) -> bool:
    """Tell if the holder's process was on this host and is there no more."""
    if holder.hostname != socket.gethostname() or not holder.pid or not holder.process_started:
        return False
    started = process_started(holder.pid)
    # The kernel reckons its boot time anew from the clock: two readings may differ by a second.
    return started is None or abs(elapsed_s(holder.process_started, started)) > CLOCK_SLACK_S


def this_run(pid: int, migration: str, kind: str = "migration") -> Run:
    """Return the run that process ``pid`` is for ``migration``: the same whenever it is asked."""
    hostname, started = socket.gethostname(), process_started(pid) or ""
    name = f"landbridge {hostname} {_boot_id()} {pid} {_ticks(pid) or started} {migration}"
    run_id = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
    return Run(run_id, _username(), hostname, pid, started, kind)


def process_started(pid: int) -> str | None:
    """Return when a process started, None if there is no such process."""
    if not Path("/proc/stat").exists():
        return _started_by_ps(pid)
    if (ticks := _ticks(pid)) is None:
        return None
    boot = Path("/proc/stat").read_text().splitlines()
    booted = next(int(line.split()[1]) for line in boot if line.startswith("btime"))
    moment = booted + ticks / os.sysconf("SC_CLK_TCK")
    return utc(datetime.fromtimestamp(moment, UTC))


def _ticks(pid: int) -> int | None:
    """Return a process's start in clock ticks since boot, None if it is not there; proc(5)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold blanks
    return None if fields[0] in "ZX" else int(fields[19])


def _started_by_ps(pid: int) -> str | None:
    argv = ["ps", "-o", "lstart=", "-p", str(pid)]
    found = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603  # numbers only
    return utc(datetime.strptime(found, "%a %b %d %H:%M:%S %Y").astimezone()) if found else None


def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def _username() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's arbitrary uid has no name
        return str(os.getuid())


def _locked(conn: psycopg.Connection, migration: str) -> bool:
    row = conn.execute(LOCK, [lock_key(migration)]).fetchone()
    return bool(row and row[0])
