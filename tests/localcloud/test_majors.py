"""Every major that is offered can be had, started and administered."""

import psycopg
import pytest

from localcloud.postgres.binaries import MAJORS

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@pytest.mark.parametrize("major", MAJORS)
def test_a_server_of_each_major_serves_its_managed_admin(postgres, major):
    server = postgres(major, side="majors")
    try:
        with psycopg.connect(**server.admin, autocommit=True) as conn:
            assert conn.info.server_version // 10000 == major
            assert conn.execute("SHOW is_superuser").fetchone() == ("off",)
            assert conn.execute("SHOW wal_level").fetchone() == ("logical",)
            conn.execute("CREATE DATABASE made")
            conn.execute("DROP DATABASE made")
    finally:
        server.stop()
