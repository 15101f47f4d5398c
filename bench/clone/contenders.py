"""The ways to copy a database that are compared, each run as its user runs it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from bench.clone.measure import Measured, run
from bench.clone.servers import MAJOR, Road
from localcloud.postgres.binaries import binaries

ROOT = Path(__file__).resolve().parents[2]
DUMP_JOBS, RESTORE_JOBS = 2, 4

Contender = Callable[[Road, Road, Path], Measured]

PLAY = """\
- name: Copy the database
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Copy the database to the target
      landbridge.migration.pg_clone:
        source: "{{ source }}"
        target: "{{ target }}"
"""


def pg_clone(source: Road, target: Road, folder: Path) -> Measured:
    """Copy by ansible-playbook with one task of pg_clone; starting Ansible counts, too."""
    book, variables = folder / "clone.yml", folder / "servers.json"
    book.write_text(PLAY)
    variables.touch(0o600)
    variables.write_text(json.dumps({"source": asdict(source), "target": asdict(target)}))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment = {
        **kept,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "LANDBRIDGE_PG_BIN": str(binaries(MAJOR)),
    }
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    argv = [playbook, "-i", "localhost,", "-c", "local", "-e", f"@{variables}", str(book)]
    return run(argv, environment, folder / "pg_clone.log")


def dump_restore(source: Road, target: Road, folder: Path) -> Measured:
    """Copy by pg_dump in parallel, pg_restore in parallel, and vacuumdb --analyze-only."""
    dump, log = folder / "dump", folder / "dump_restore.log"
    program = {name: str(binaries(MAJOR) / name) for name in ("pg_dump", "pg_restore", "vacuumdb")}
    dumping = [program["pg_dump"], "-Fd", f"-j{DUMP_JOBS}", "-Z0", "-f", str(dump)]
    restoring = [program["pg_restore"], f"-j{RESTORE_JOBS}", "-d", target.dbname, str(dump)]
    analyzing = [program["vacuumdb"], "--analyze-only", f"-j{DUMP_JOBS}", target.dbname]
    measured = run(dumping, source.environment(), log)
    measured = measured.plus(run(restoring, target.environment(), log))
    return measured.plus(run(analyzing, target.environment(), log))


def pgcopydb(source: Road, target: Road, folder: Path) -> Measured:
    """Copy by pgcopydb clone, as many jobs as it has by default for tables and indexes."""
    argv = [str(shutil.which("pgcopydb")), "clone", "--no-acl", "--restart"]
    environment = {
        **source.environment(),
        "PGCOPYDB_SOURCE_PGURI": uri(source),
        "PGCOPYDB_TARGET_PGURI": uri(target),
    }
    return run([*argv, "--dir", str(folder / "pgcopydb")], environment, folder / "pgcopydb.log")


def uri(road: Road) -> str:
    security = f"sslmode={road.sslmode}&sslrootcert={road.sslrootcert}"
    where = f"{road.host}:{road.port}/{road.dbname}"
    return f"postgresql://{road.user}:{road.password}@{where}?{security}"


def contenders() -> dict[str, Contender]:
    """Return those that can run here, ours first and the one it is compared with second."""
    found: dict[str, Contender] = {"pg_clone": pg_clone, "pg_dump/pg_restore": dump_restore}
    if shutil.which("pgcopydb"):
        found["pgcopydb"] = pgcopydb
    return found
