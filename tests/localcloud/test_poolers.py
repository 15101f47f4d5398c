"""A pooler of the local cloud: made, used, found again, taken down."""

import json
import os
import signal
import stat

import psycopg
import pytest

from localcloud.client import pooler_path
from localcloud.errors import LocalCloudError
from localcloud.pgbouncer import binaries
from localcloud.pgbouncer.configuration import users_text

from .conftest import PASSWORD
from .test_lifecycle import kill_daemon

pytestmark = pytest.mark.postgres

APP_PASSWORD = 'canary "app" s3cret'


def body(server, **more):
    """Describe a pooler of a server whose own admin is its user."""
    target = {"host": server["host"], "port": server["port"], "dbname": "postgres"}
    return {
        "admin_user": "console", "admin_password": APP_PASSWORD,
        "databases": {"front": target}, "users": {"boss": PASSWORD}, **more,
    }  # fmt: skip


def put(cloud, name, described):
    cloud.client.call("PUT", pooler_path("old", name), described)
    return cloud.client.settle_pooler("old", name)


def connect(cloud, pooler, **keywords):
    keywords = {
        "host": pooler["host"], "port": pooler["port"], "user": "boss", "password": PASSWORD,
        "dbname": "front", "sslmode": "verify-full", "sslrootcert": str(cloud.home.root / "ca.pem"),
        "prepare_threshold": None, "autocommit": True, **keywords,
    }  # fmt: skip
    return psycopg.connect(**keywords)


def console(cloud, pooler):
    return connect(cloud, pooler, dbname="pgbouncer", user="console", password=APP_PASSWORD)


def process(cloud, pooler):
    """Return its pid, or None while there is none."""
    pid_file = cloud.home.kept("old", "poolers") / pooler["name"] / "pgbouncer.pid"
    return int(pid_file.read_text()) if pid_file.exists() else None


def test_clients_reach_the_server_through_it_and_its_admin_the_console(cloud, server):
    pooler = put(cloud, "made", body(server))
    assert pooler["host"].startswith("127.32.1.")
    with connect(cloud, pooler) as conn:
        found = conn.execute("SELECT inet_server_port(), current_user").fetchone()
    assert found == (server["port"], "boss")
    with console(cloud, pooler) as conn:
        names = {row[0] for row in conn.execute("SHOW DATABASES")}
    assert names == {"front", "pgbouncer"}
    with pytest.raises(psycopg.OperationalError):
        connect(cloud, pooler, password="wrong")
    with pytest.raises(psycopg.OperationalError):
        connect(cloud, pooler, sslmode="disable")


def test_no_answer_and_no_open_file_tells_a_password(cloud, server):
    pooler = put(cloud, "silent", body(server))
    assert "s3cret" not in json.dumps(cloud.client.call("GET", "/v1/clouds"))
    folder = cloud.home.kept("old", "poolers")
    assert "s3cret" not in (folder / "silent.json").read_text()
    secret = folder / "silent" / "users.txt"
    assert APP_PASSWORD in secret.read_text().replace('""', '"')
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert pooler["config_file"] == str(folder / "silent" / "pgbouncer.ini")


def test_a_repeated_request_is_answered_and_another_one_refused(cloud, server):
    made = put(cloud, "twice", body(server))
    assert put(cloud, "twice", body(server)) == made
    with pytest.raises(LocalCloudError, match="exists with another pool_size"):
        put(cloud, "twice", body(server, pool_size=3))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"databases": {}}, "databases must be an object"),
        ({"databases": {'Legacy "Billing"': {}}}, "is no name at a pooler"),
        ({"databases": {"pgbouncer": {}}}, "is no name at a pooler"),
        ({"databases": {"shop": {"host": "x"}}}, "host, port and dbname"),
        ({"users": {"boss": ""}}, "text that is not empty"),
        ({"users": {"console": "x"}}, "give it another name"),
        ({"pool_size": 0}, "from 1 to"),
        ({"poolsize": 1}, "poolsize is not known"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(cloud, server, change, words):
    with pytest.raises(LocalCloudError, match=words) as refused:
        put(cloud, "nonsense", body(server, **change))
    assert refused.value.status == 400


def test_one_that_dies_is_started_again_and_leads_where_its_file_says(cloud, server, eventually):
    pooler = put(cloud, "mortal", body(server))
    before = process(cloud, pooler)
    ini = cloud.home.kept("old", "poolers") / "mortal" / "pgbouncer.ini"
    ini.write_text(ini.read_text().replace("dbname='postgres'", "dbname='template1'"))
    os.kill(before, signal.SIGKILL)
    eventually(lambda: process(cloud, pooler) not in (None, before), 20)
    cloud.client.settle_pooler("old", "mortal")
    with connect(cloud, pooler) as conn:
        assert conn.execute("SELECT current_database()").fetchone() == ("template1",)


def test_a_killed_daemons_successor_takes_it_up_and_nothing_outlives_down(own_cloud, eventually):
    server = own_cloud.create("behind")
    pooler = put(own_cloud, "kept", body(server))
    before = process(own_cloud, pooler)
    kill_daemon(own_cloud, eventually)
    assert own_cloud.run("up").stdout.startswith("The local cloud is up: 1 servers, 1 poolers")
    assert process(own_cloud, pooler) == before
    status = [line.split() for line in own_cloud.run("status").stdout.splitlines()]
    assert ["old", "kept", "pooler", "ready"] in [line[:4] for line in status]
    kill_daemon(own_cloud, eventually)
    own_cloud.run("down")
    assert own_cloud.processes() == []
    own_cloud.run("up")
    connect(own_cloud, pooler).close()
    own_cloud.client.call("DELETE", pooler_path("old", "kept"))
    eventually(own_cloud.client.pooler_absent("old", "kept"))
    assert not (own_cloud.home.kept("old", "poolers") / "kept").exists()


def test_the_command_line_makes_shows_and_deletes_a_pooler(own_cloud):
    own_cloud.run("server", "create", "new", "shop_pg")
    create = ("pooler", "create", "old", "front", "--server", "new/shop_pg")
    told = own_cloud.run(*create, "--database", "shop=postgres", "--user", "cloud_admin").stdout
    pooler = json.loads(own_cloud.run("pooler", "status", "old", "front").stdout)
    assert told == f"old/front is ready at {pooler['host']}:{pooler['port']}\n"
    password = (own_cloud.home.root / "secrets" / "cloud_admin").read_text()
    with connect(own_cloud, pooler, dbname="shop", user="cloud_admin", password=password) as conn:
        assert conn.execute("SELECT current_database()").fetchone() == ("postgres",)
    assert own_cloud.run("pooler", "delete", "old", "front").stdout == "old/front is deleted\n"
    assert own_cloud.client.poolers() == []


def test_a_program_that_cannot_be_had_is_told_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", ())
    (tmp_path / "cache").mkdir()
    with pytest.raises(LocalCloudError, match="apt-get install pgbouncer"):
        binaries.program()


def test_the_file_of_users_is_quoted_as_pgbouncer_reads_it():
    assert users_text({"a": 'p"w', "b": "x"}) == '"a" "p""w"\n"b" "x"\n'
