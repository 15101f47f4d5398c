"""What a managed server's configuration files say; pure text, made from one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

# The bootstrap superuser. Only the operating system's user that runs the cloud becomes it, over
# the local socket; no client does.
SUPERUSER = "localcloud"

# What the provider decides, as the managed services do; none of these is a customer's parameter.
RESERVED = frozenset(
    [
        "archive_cleanup_command",
        "archive_command",
        "archive_library",
        "authentication_timeout",
        "config_file",
        "data_directory",
        "data_directory_mode",
        "db_user_namespace",
        "dynamic_library_path",
        "event_source",
        "external_pid_file",
        "fsync",
        "full_page_writes",
        "hba_file",
        "ident_file",
        "krb_server_keyfile",
        "listen_addresses",
        "local_preload_libraries",
        "log_destination",
        "log_directory",
        "log_filename",
        "logging_collector",
        "password_encryption",
        "port",
        "primary_conninfo",
        "primary_slot_name",
        "promote_trigger_file",
        "recovery_end_command",
        "recovery_target",
        "restore_command",
        "session_preload_libraries",
        "ssl",
        "ssl_ca_file",
        "ssl_cert_file",
        "ssl_crl_dir",
        "ssl_crl_file",
        "ssl_key_file",
        "ssl_passphrase_command",
        "stats_temp_directory",
        "superuser_reserved_connections",
        "unix_socket_directories",
        "unix_socket_group",
        "unix_socket_permissions",
    ]
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one server is: immutable; a change makes a new value that is written again.

    :param name: the server's name; its certificate is for ``dns_name`` and ``host``.
    :param host: the loopback address it listens on, besides 127.0.0.1.
    :param firewall: CIDR ranges that may connect, always by TLS and SCRAM.
    :param parameters: the customer's settings, as Postgres writes them.
    :param durable: False for tests: no fsync.
    """

    name: str
    major: int
    host: str
    port: int
    admin_user: str
    dns_name: str = "postgres.local.test"
    firewall: Sequence[str] = ("127.0.0.0/8",)
    parameters: Mapping[str, str] = field(default_factory=dict)
    durable: bool = True

    def with_changes(self, **changes: Any) -> Configuration:
        return replace(self, **changes)


def settings_text(configuration: Configuration, socket_folder: str) -> str:
    """Return the file that postgresql.conf includes last: the customer's, then the provider's."""
    settings = {"wal_level": "logical", **configuration.parameters, **_provider(configuration)}
    settings["unix_socket_directories"] = socket_folder
    return "".join(f"{name} = {_quoted(value)}\n" for name, value in settings.items())


def _provider(configuration: Configuration) -> dict[str, str]:
    addresses = dict.fromkeys([configuration.host, "127.0.0.1"])
    settings = {
        "listen_addresses": ",".join(addresses),
        "port": str(configuration.port),
        "ssl": "on",
        "ssl_cert_file": "server.crt",
        "ssl_key_file": "server.key",
        "password_encryption": "scram-sha-256",
        "unix_socket_permissions": "0700",
        "log_destination": "stderr",
        "logging_collector": "off",
    }
    if not configuration.durable:
        settings |= {"fsync": "off", "full_page_writes": "off"}
    return settings


def _quoted(value: str) -> str:
    # guc-file.l: quotes are doubled, backslashes start an escape.
    escaped = value.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def hba_text(configuration: Configuration) -> str:
    """Return pg_hba.conf: the superuser by the socket only, all others by TLS and password."""
    lines = [
        f"local all {SUPERUSER} peer map=provider",
        f"local replication {SUPERUSER} peer map=provider",
        "local all all reject",
        f"host all {SUPERUSER} all reject",
        f"host replication {SUPERUSER} all reject",
    ]
    for source in configuration.firewall:
        lines += [f"hostssl {what} all {source} scram-sha-256" for what in ("all", "replication")]
    return "\n".join(lines) + "\n"


def ident_text(operator: str) -> str:
    """Return pg_ident.conf: ``operator`` is the system's user that runs the cloud."""
    return f"provider {operator} {SUPERUSER}\n"
