"""What a pooler's files say; pure text, made from one value.

The database lines are written once: from then on they belong to whoever switches the pooler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Target(NamedTuple):
    """Where a database of the pooler is."""

    host: str
    port: int
    dbname: str


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one pooler is.

    :param host: the loopback address it listens on.
    :param admin_user: who may use the admin console; no role of Postgres.
    :param databases: the names that clients ask for, and what each stands for at first. Letters,
        digits and ``_.-`` only: the file's parser (cfparser.c) knows no quotes in a name.
    :param pool_size: connections to a server for each pair of database and role.
    :param max_clients: connections of clients in all.
    """

    name: str
    host: str
    port: int
    admin_user: str
    databases: Mapping[str, Target]
    dns_name: str = "pooler.local.test"
    pool_size: int = 20
    max_clients: int = 500


# What suits a pooler whose databases move; docs/how-to/pgbouncer.md tells why.
SETTINGS = {
    "pool_mode": "transaction",
    "auth_type": "scram-sha-256",
    "client_tls_sslmode": "require",
    "server_tls_sslmode": "verify-full",
    "server_login_retry": "1",
    "server_connect_timeout": "5",
    "server_check_delay": "10",
    "query_wait_timeout": "120",
    "ignore_startup_parameters": "extra_float_digits,options",
    "log_connections": "0",
    "log_disconnections": "0",
    "unix_socket_dir": "",
}


def ini_text(configuration: Configuration, folder: str, ca: str) -> str:
    """Return pgbouncer.ini; its other files are in ``folder``, servers are checked with ``ca``."""
    settings = {
        **SETTINGS,
        "listen_addr": configuration.host,
        "listen_port": str(configuration.port),
        "admin_users": configuration.admin_user,
        "auth_file": f"{folder}/users.txt",
        "client_tls_key_file": f"{folder}/pooler.key",
        "client_tls_cert_file": f"{folder}/pooler.crt",
        # Without one, RELOAD reads the system's bundle: 50 ms and more, while clients wait.
        "client_tls_ca_file": ca,
        "server_tls_ca_file": ca,
        "default_pool_size": str(configuration.pool_size),
        "max_client_conn": str(configuration.max_clients),
        "pidfile": f"{folder}/pgbouncer.pid",
    }
    databases = [
        f"{name} = host={_value(each.host)} port={each.port} dbname={_value(each.dbname)}"
        for name, each in configuration.databases.items()
    ]
    lines = [f"{name} = {value}" for name, value in settings.items()]
    return "\n".join(["[databases]", *databases, "", "[pgbouncer]", *lines, ""])


def users_text(passwords: Mapping[str, str]) -> str:
    """Return the file of who may log in, to the pooler and through it to the servers.

    In clear text: a SCRAM verifier logs in only to a server that has the very same one.
    """
    return "".join(f"{_quoted(user)} {_quoted(secret)}\n" for user, secret in passwords.items())


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _value(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
