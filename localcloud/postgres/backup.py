"""Backups of a running server of any major: Postgres's low-level base backup (chapter 25.3).

A copy of the files between start and stop, then the WAL written meanwhile, kept by a temporary
slot. What to leave out is the list of basebackup.c. No client program is needed, which some of
our majors lack.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from .. import files, processes
from ..errors import LocalCloudError

EXCLUDED_FILES = {
    "backup_label", "backup_label.old", "backup_manifest", "current_logfiles.tmp",
    "pg_internal.init", "postgresql.auto.conf.tmp", "postmaster.opts", "postmaster.pid",
    "tablespace_map",
}  # fmt: skip

# Kept as empty folders.
EXCLUDED_CONTENTS = {
    "pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp",
    "pg_subtrans", "pg_wal",
}  # fmt: skip

CONTROL = Path("global/pg_control")  # copied last, as basebackup.c does

START = {
    15: "SELECT pg_walfile_name(pg_backup_start('localcloud', fast => true))",
    0: "SELECT pg_walfile_name(pg_start_backup('localcloud', true, false))",
}
STOP = {
    15: "SELECT labelfile, pg_walfile_name(lsn) FROM pg_backup_stop(wait_for_archive => false)",
    0: "SELECT labelfile, pg_walfile_name(lsn) FROM pg_stop_backup(false, false)",
}
SLOT = "SELECT pg_create_physical_replication_slot(%s, true, true)"


def take(conn: psycopg.Connection[Any], data: Path, target: Path) -> int:
    """Copy the running server's ``data`` to ``target``, which is made; return its bytes.

    ``conn`` is a superuser's session to it; it must live until the copy is complete.
    """
    major = conn.info.server_version // 10000
    conn.execute(SLOT, [f"localcloud_backup_{os.getpid()}_{conn.info.backend_pid}"])
    first = _one(conn, START[15 if major >= 15 else 0])[0]
    target.mkdir(mode=0o700, parents=True)
    for path in _files(data):
        if path != data / CONTROL:
            _copy(path, target / path.relative_to(data))
    _copy(data / CONTROL, target / CONTROL)
    label, last = _one(conn, STOP[15 if major >= 15 else 0])
    _copy_wal(data / "pg_wal", target / "pg_wal", first, last)
    uid = processes.UNPRIVILEGED_UID if processes.is_root() else None
    files.write(target / "backup_label", label, 0o600, uid)
    _same_owner(data, target)
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def _one(conn: psycopg.Connection[Any], statement: str) -> Any:
    row = conn.execute(statement.encode()).fetchone()
    if row is None:
        raise LocalCloudError(f"no row from {statement}")
    return row


def _files(folder: Path) -> Iterator[Path]:
    """Yield what belongs to a backup, each folder before what is in it."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        name = entry.name
        if name in EXCLUDED_FILES or name.startswith(("pgsql_tmp", "pg_internal.init")):
            continue
        if entry.is_symlink():
            raise LocalCloudError(f"{entry.path} is a link; tablespaces cannot be backed up here")
        yield Path(entry.path)
        if entry.is_dir() and name not in EXCLUDED_CONTENTS:
            try:
                yield from _files(Path(entry.path))
            except FileNotFoundError:
                continue  # a database dropped meanwhile


def _copy(source: Path, target: Path) -> None:
    """Copy a file or make a folder; a file dropped meanwhile is none of the backup's."""
    try:
        if source.is_dir():
            target.mkdir(mode=0o700, exist_ok=True)
        else:
            shutil.copyfile(source, target)
            target.chmod(0o600)
    except FileNotFoundError:
        if source.exists():
            raise


def _copy_wal(source: Path, target: Path, first: str, last: str) -> None:
    """Copy the segments from ``first`` to ``last``: names sort as their positions do."""
    segments = [
        path for path in source.iterdir() if len(path.name) == 24 and first <= path.name <= last
    ]
    if not {first, last} <= {path.name for path in segments}:
        raise LocalCloudError(f"WAL from {first} to {last} is not complete")
    for path in segments:
        _copy(path, target / path.name)


def restore(source: Path, target: Path) -> None:
    """Make ``target`` a server's data folder from a backup; half a copy is made anew."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target)
    target.chmod(0o700)
    _same_owner(source, target)


def _same_owner(like: Path, folder: Path) -> None:
    if not processes.is_root():
        return
    owner = like.stat()
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
