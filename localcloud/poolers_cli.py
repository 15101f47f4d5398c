"""`localcloud pooler …`: what the API offers, for a person. Each command waits until it is done."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from . import processes
from .client import SETTLE_TIMEOUT_S, Client, pooler_path
from .errors import InvalidRequest
from .home import CLOUDS, Home
from .sample.databases import DATABASES

# Who may use a pooler's admin console; a role of no server.
ADMIN = "pooler_admin"


def add_pooler_commands(commands: Any) -> None:
    """Add `pooler` and its commands."""
    pooler = commands.add_parser("pooler", help="create and delete poolers: PgBouncer")
    actions = pooler.add_subparsers(required=True, metavar="ACTION")
    create = _action(actions, "create", _create, "make a pooler, unless it is there")
    create.add_argument("--server", required=True, metavar="[CLOUD/]NAME", help="it leads there")
    create.add_argument(
        "--database",
        action="append",
        default=[],
        metavar="NAME[=DBNAME]",
        help="a name at the pooler, and the database's own; default: the sample's",
    )
    create.add_argument(
        "--user", action="append", default=[], metavar="ROLE", help="default: the sample's services"
    )
    create.add_argument("--pool-size", type=int, help="connections of each role to each database")
    _action(actions, "status", _status, "show a pooler as the API tells it")
    _action(actions, "delete", _delete, "delete a pooler; clients are cut off")


def _action(actions: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=text)
    parser.add_argument("cloud", choices=CLOUDS)
    parser.add_argument("name")
    parser.set_defaults(run=run)
    return parser


def _create(home: Home, options: argparse.Namespace) -> None:
    home.make()
    client = Client(home)
    cloud, _, server = options.server.rpartition("/")
    found = client.read(cloud or options.cloud, server)
    users = options.user or [each.app for each in DATABASES]
    body = {
        "admin_user": ADMIN,
        "admin_password": home.secret(ADMIN),
        "databases": {
            name: {"host": found["host"], "port": found["port"], "dbname": dbname}
            for name, dbname in _databases(options).items()
        },
        "users": {user: home.secret(user) for user in users},
        "pool_size": options.pool_size,
    }
    client.call("PUT", pooler_path(options.cloud, options.name), body)
    made = client.settle_pooler(options.cloud, options.name)
    print(f"{made['cloud']}/{made['name']} is ready at {made['host']}:{made['port']}")


def _databases(options: argparse.Namespace) -> Mapping[str, str]:
    if not options.database:
        return {each.name: each.dbname for each in DATABASES}
    pairs = [text.partition("=") for text in options.database]
    if not all(name for name, _, _ in pairs):
        raise InvalidRequest("--database: NAME or NAME=DBNAME is wanted")
    return {name: dbname or name for name, _, dbname in pairs}


def _status(home: Home, options: argparse.Namespace) -> None:
    found = Client(home).call("GET", pooler_path(options.cloud, options.name))
    print(json.dumps(found, indent=1))


def _delete(home: Home, options: argparse.Namespace) -> None:
    client = Client(home)
    client.call("DELETE", pooler_path(options.cloud, options.name))
    what = f"{options.cloud}/{options.name}"
    gone = client.pooler_absent(options.cloud, options.name)
    processes.wait_until(gone, SETTLE_TIMEOUT_S, f"{what} is deleted", poll=0.1)
    print(f"{what} is deleted")
