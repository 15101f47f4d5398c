"""Servers of a local cloud behave as a managed service's do."""

import os
import signal

import psycopg
import pytest

from localcloud.client import server_path
from localcloud.errors import LocalCloudError

from .conftest import PASSWORD

pytestmark = pytest.mark.postgres


def rows(conn, statement):
    return conn.execute(statement).fetchall()


def test_a_server_is_made_once_read_and_deleted(cloud, eventually):
    assert cloud.put("mortal")["state"] == "creating"
    made = cloud.client.settle("old", "mortal")
    assert cloud.put("mortal")["created"] == made["created"]
    with cloud.connect(made) as conn:
        assert rows(conn, "SHOW wal_level") == [("logical",)]
    postmaster = cloud.postmaster(made)
    cloud.client.call("DELETE", server_path("old", "mortal"))
    eventually(cloud.client.absent("old", "mortal"))
    assert postmaster not in cloud.processes()
    assert not list(cloud.home.servers("old").glob("mortal*"))


def test_no_answer_holds_a_secret(cloud, server):
    assert PASSWORD not in str(cloud.client.servers())
    assert "SCRAM" not in str(cloud.client.servers())
    for path in cloud.home.root.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".log", ".conf"):
            assert PASSWORD.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"version": 16}, id="version"),
        pytest.param({"admin_user": "chief"}, id="admin_user"),
        pytest.param({"firewall": []}, id="firewall"),
        pytest.param({"parameters": {"max_connections": "51"}}, id="parameters"),
    ],
)
def test_a_server_that_is_there_with_another_description_is_a_conflict(cloud, server, other):
    with pytest.raises(LocalCloudError, match=f"another {next(iter(other))}") as refused:
        cloud.put("shared", **other)
    assert (refused.value.status, refused.value.code) == (409, "conflict")


def test_while_something_is_under_way_the_next_request_is_told_to_wait(cloud):
    cloud.put("busy", cloud="new")
    with pytest.raises(LocalCloudError, match="busy is creating") as refused:
        cloud.client.call("PATCH", server_path("new", "busy"), {"firewall": []})
    assert refused.value.code == "operation_in_progress"
    cloud.client.settle("new", "busy")


def test_the_admin_is_no_superuser_and_administers_all_the_same(cloud, server):
    with cloud.connect(server) as conn:
        assert rows(conn, "SHOW is_superuser") == [("off",)]
        for forbidden in (
            "ALTER SYSTEM SET work_mem = '8MB'",
            "COPY (SELECT 1) TO PROGRAM 'true'",
            "SELECT rolpassword FROM pg_authid",
            "SET session_replication_role = replica",
            "CREATE ROLE boss2 SUPERUSER",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(forbidden)
        conn.execute("CREATE ROLE helper LOGIN")
        conn.execute("GRANT pg_monitor, pg_signal_backend, pg_checkpoint TO helper")
        conn.execute("GRANT pg_create_subscription TO helper")
        conn.execute("CREATE DATABASE administered")
        conn.execute("SELECT pg_create_logical_replication_slot('mine', 'pgoutput', true)")
        conn.execute("DROP DATABASE administered")
        conn.execute("DROP ROLE helper")


def test_the_superuser_cannot_come_in_by_the_network(cloud, server):
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
        cloud.connect(server, user="localcloud")


def test_tls_is_demanded_and_holds_for_the_servers_own_names_only(cloud, server):
    cloud.connect(server).close()
    cloud.connect(server, host=server["dns_name"], hostaddr=server["host"]).close()
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        cloud.connect(server, sslmode="disable")
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        cloud.connect(server, host="127.0.0.1")
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        cloud.connect(server, sslrootcert="system")


def test_the_firewall_lets_in_only_the_addresses_it_names(cloud, server):
    closed = cloud.patch("shared", firewall=["127.99.0.0/16"])
    assert closed["firewall"] == ["127.99.0.0/16"]
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        cloud.connect(server)
    cloud.patch("shared", firewall=["127.0.0.1/32"])
    cloud.connect(server).close()


def test_a_parameter_that_needs_a_restart_waits_for_it(cloud, server):
    changed = cloud.patch("shared", parameters={"max_connections": 60, "work_mem": "5MB"})
    assert changed["parameters"]["max_connections"] == {"value": "60", "pending_restart": True}
    assert changed["parameters"]["work_mem"] == {"value": "5MB", "pending_restart": False}
    assert changed["pending_restart"] is True
    with cloud.connect(server) as conn:
        assert rows(
            conn, "SELECT current_setting('max_connections'), current_setting('work_mem')"
        ) == [("50", "5MB")]
    cloud.post("shared", "restart")
    assert cloud.client.settle("old", "shared")["pending_restart"] is False
    with cloud.connect(server) as conn:
        assert rows(conn, "SHOW max_connections") == [("60",)]
    back = cloud.patch("shared", parameters={"max_connections": "50", "work_mem": None})
    assert back["parameters"]["work_mem"]["value"] == "4MB"
    cloud.post("shared", "restart")
    cloud.client.settle("old", "shared")


def test_a_restart_that_postgres_refuses_is_told_and_can_be_mended(cloud):
    made = cloud.create("stubborn", cloud="new")
    cloud.patch("stubborn", cloud="new", parameters={"wal_level": "minimal"})
    cloud.post("stubborn", "restart", cloud="new")
    with pytest.raises(LocalCloudError, match="WAL streaming"):
        cloud.client.settle("new", "stubborn")
    cloud.patch("stubborn", cloud="new", parameters={"wal_level": "replica"})
    with cloud.connect(made) as conn:
        assert rows(conn, "SHOW wal_level") == [("replica",)]


def test_a_new_password_replaces_the_old_one(cloud, server):
    cloud.patch("shared", admin_password="another")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        cloud.connect(server)
    cloud.connect(server, password="another").close()
    cloud.patch("shared", admin_password=PASSWORD)


@pytest.mark.parametrize("version", [17, 14])
def test_a_backup_becomes_a_new_server_with_what_was_committed_then(cloud, eventually, version):
    name = f"kept{version}"
    made = cloud.create(name, version=version, parameters={"work_mem": "6MB"})
    with cloud.connect(made) as conn:
        conn.execute("CREATE DATABASE shop")
    with cloud.connect(made, dbname="shop") as conn:
        conn.execute("CREATE TABLE sold AS SELECT generate_series(1, 1000) AS id")
        backup = cloud.post(name, "backups")["id"]
        path = f"{server_path('old', name)}/backups"
        taken = eventually(
            lambda: [
                each for each in cloud.client.call("GET", path)["backups"]
                if each["id"] == backup and each["state"] != "creating"
            ],
            30,
        )  # fmt: skip
        assert taken[0]["state"] == "ready", taken
        assert taken[0]["bytes"] > 1_000_000
        conn.execute("INSERT INTO sold VALUES (1001)")
    restored = cloud.create(
        f"again{version}", version=version, restore_from={"server": name, "backup": backup}
    )
    assert restored["parameters"]["work_mem"]["value"] == "6MB"
    with cloud.connect(restored, dbname="shop") as conn:
        assert rows(conn, "SELECT count(*), max(id) FROM sold") == [(1000, 1000)]
        conn.execute("INSERT INTO sold VALUES (2000)")


def test_a_killed_postmaster_is_started_again(cloud, server, eventually):
    before = cloud.postmaster(server)
    os.kill(before, signal.SIGKILL)

    def serves_again():
        try:
            with cloud.connect(server):
                return cloud.postmaster(server) != before
        except (psycopg.OperationalError, OSError):
            return False

    eventually(serves_again, 30)
