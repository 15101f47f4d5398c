"""A copy into a target whose disk is too small is finished by the next run on a larger one."""

import subprocess
import uuid

import psycopg
import pytest
from psycopg import sql

from ansible_collections.landbridge.migration.plugins.modules import pg_clone
from tests.fix_postgres import ADMIN

pytestmark = [pytest.mark.postgres, pytest.mark.fault]

DISK_FULL = "53100"
TOO_SMALL_MB, ENOUGH_MB = 24, 200

# `filling` alone would fit, `overflowing` never does.
TABLES = """
CREATE TABLE public.filling AS
SELECT n, repeat(md5(n::text), 3) AS filler FROM generate_series(1, 20000) n;
CREATE TABLE public.overflowing AS
SELECT n, repeat(md5(n::text), 3) AS filler FROM generate_series(1, 200000) n;
CREATE INDEX ON public.overflowing (n);
"""


@pytest.fixture
def disk(target_server, postgres_folder):
    """A tablespace of the target on a disk of its own, and a function that changes its size.

    A database's own tablespace, so that the server has room for its write-ahead log and lives on.
    """
    name = f"lb_{uuid.uuid4().hex[:12]}"
    folder = postgres_folder / name
    folder.mkdir()

    def mount(size_mb, *options):
        wanted = ",".join([f"size={size_mb}m", *options])
        subprocess.run(["mount", "-t", "tmpfs", "-o", wanted, "tmpfs", folder], check=True)

    owner = (target_server.folder / "data").stat()
    try:
        mount(TOO_SMALL_MB, "mode=0700", f"uid={owner.st_uid}", f"gid={owner.st_gid}")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a disk")
    with target_server.as_superuser() as conn:
        location = sql.Literal(str(folder))
        conn.execute(
            sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(sql.Identifier(name), location)
        )
    yield name, lambda size_mb: mount(size_mb, "remount")
    with target_server.as_superuser() as conn:
        conn.execute(sql.SQL("DROP TABLESPACE {}").format(sql.Identifier(name)))
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def cramped(disk, target_server):
    """A target database that lies on that disk, and the function."""
    name, resize = disk
    identifier = sql.Identifier(name)
    with target_server.as_superuser() as conn:
        made = sql.SQL("CREATE DATABASE {} OWNER {} TABLESPACE {}")
        conn.execute(made.format(identifier, sql.Identifier(ADMIN), identifier))
    yield {**target_server.admin, "dbname": name}, resize
    with target_server.as_superuser() as conn:
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def test_a_target_whose_disk_is_full_keeps_no_half_table_and_goes_on_when_it_is_larger(
    source, cramped, run_module, contents_of, as_superuser
):
    target, resize = cramped
    with psycopg.connect(**source, autocommit=True) as conn:
        conn.execute(TABLES)
    failure = run_module(pg_clone, source=source, target=target)
    assert failure["msg"].startswith("target: ")
    assert "No space left on device" in failure["msg"]
    assert "\n" not in failure["msg"]
    assert (failure["error"]["sqlstate"], failure["error"]["retryable"]) == (DISK_FULL, False)
    assert "disk" in failure["error"]["hint"]
    with as_superuser(target) as conn:
        assert conn.execute("SELECT count(*) FROM public.overflowing").fetchone() == (0,)
    resize(ENOUGH_MB)
    assert run_module(pg_clone, source=source, target=target)["rows"] == 220_000
    assert contents_of(target) == contents_of(source)
