"""`localcloud server …`: what the API offers, for a person. Each command waits until it is done."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from . import processes
from .client import SETTLE_TIMEOUT_S, Client, server_path
from .errors import InvalidRequest, LocalCloudError
from .home import CLOUDS, Home


def add_server_commands(commands: Any) -> None:
    """Add `server` and its commands."""
    server = commands.add_parser("server", help="create, change and delete Postgres servers")
    actions = server.add_subparsers(required=True, metavar="ACTION")
    create = _action(actions, "create", _create, "make a server, unless it is there")
    create.add_argument("--version", type=int, help="Postgres's major version; 17 if not given")
    create.add_argument("--admin-user", default="cloud_admin", help="default: %(default)s")
    create.add_argument("--restore-from", metavar="SERVER/BACKUP", help="of the same cloud")
    _add_changeable(create)
    _add_changeable(_action(actions, "update", _update, "change a server"))
    _action(actions, "show", _show, "show a server as the API tells it")
    _action(actions, "restart", _restart, "restart a server")
    _action(actions, "backup", _backup, "take a backup; print its id")
    _action(actions, "backups", _backups, "list a server's backups")
    _action(actions, "delete", _delete, "delete a server, its data and its backups")


def _action(actions: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text)
    parser.add_argument("cloud", choices=CLOUDS)
    parser.add_argument("name")
    parser.set_defaults(run=run)
    return parser


def _add_changeable(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--admin-password-file",
        type=Path,
        help="default: secrets/ADMIN in the state folder, made if it is not there",
    )
    parser.add_argument("--parameter", action="append", metavar="NAME=VALUE", default=[])
    parser.add_argument("--firewall", action="append", metavar="CIDR", help="who may connect")
    parser.add_argument("--retention-days", type=int, help="how long backups are kept")
    parser.add_argument("--storage-mb", type=int, help="recorded only")


def _create(home: Home, options: argparse.Namespace) -> None:
    home.make()
    body = {
        **_changes(options),
        "admin_user": options.admin_user,
        "admin_password": _password(options) or home.secret(options.admin_user),
    }
    if options.version:
        body["version"] = options.version
    if options.restore_from:
        server, _, backup = options.restore_from.partition("/")
        body["restore_from"] = {"server": server, "backup": backup}
    client = Client(home)
    client.call("PUT", server_path(options.cloud, options.name), body)
    _tell(client, options)


def _update(home: Home, options: argparse.Namespace) -> None:
    body = _changes(options)
    if password := _password(options):
        body["admin_password"] = password
    client = Client(home)
    client.call("PATCH", server_path(options.cloud, options.name), body)
    _tell(client, options)


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if options.parameter:
        body["parameters"] = dict(map(_pair, options.parameter))
    if options.firewall is not None:
        body["firewall"] = options.firewall
    if options.retention_days is not None:
        body["backup"] = {"retention_days": options.retention_days}
    if options.storage_mb is not None:
        body["storage_mb"] = options.storage_mb
    return body


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidRequest(f"--parameter {text}: NAME=VALUE is wanted")
    return name, value


def _password(options: argparse.Namespace) -> str | None:
    path: Path | None = options.admin_password_file
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise LocalCloudError(f"{path}: {exc.strerror}") from None


def _show(home: Home, options: argparse.Namespace) -> None:
    print(json.dumps(Client(home).read(options.cloud, options.name), indent=1))


def _restart(home: Home, options: argparse.Namespace) -> None:
    client = Client(home)
    client.call("POST", server_path(options.cloud, options.name) + "/restart")
    _tell(client, options)


def _backup(home: Home, options: argparse.Namespace) -> None:
    client = Client(home)
    path = server_path(options.cloud, options.name) + "/backups"
    backup_id = client.call("POST", path)["id"]
    found: dict[str, Any] = {}

    def taken() -> bool:
        every = {each["id"]: each for each in client.call("GET", path)["backups"]}
        found.update(every[backup_id])
        return bool(found["state"] != "creating")

    processes.wait_until(taken, SETTLE_TIMEOUT_S, f"backup {backup_id} is taken", poll=0.1)
    if found["state"] == "failed":
        raise LocalCloudError(f"backup {backup_id} failed: {found['state_reason']}")
    print(backup_id)


def _backups(home: Home, options: argparse.Namespace) -> None:
    path = server_path(options.cloud, options.name) + "/backups"
    for each in Client(home).call("GET", path)["backups"]:
        print(f"{each['id']}  {each['state']}  {each['created']}  {each['bytes']} bytes")


def _delete(home: Home, options: argparse.Namespace) -> None:
    client = Client(home)
    client.call("DELETE", server_path(options.cloud, options.name))
    what = f"{options.cloud}/{options.name}"
    gone = client.absent(options.cloud, options.name)
    processes.wait_until(gone, SETTLE_TIMEOUT_S, f"{what} is deleted", poll=0.1)
    print(f"{what} is deleted")


def _tell(client: Client, options: argparse.Namespace) -> None:
    found = client.settle(options.cloud, options.name)
    pending = "; a restart is pending" if found["pending_restart"] else ""
    print(f"{found['cloud']}/{found['name']} is ready at {found['host']}:{found['port']}{pending}")
