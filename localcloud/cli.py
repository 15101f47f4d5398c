"""The command line: `python -m localcloud COMMAND`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import lifecycle
from .client import Client, server_path
from .daemon import running, serve
from .errors import InvalidRequest, LocalCloudError
from .home import CLOUDS, Home
from .kubernetes.cli import add_cluster_commands, cluster_rows
from .poolers_cli import add_pooler_commands
from .postgres.binaries import MAJORS, binaries
from .sample import cli as sample
from .servers_cli import add_server_commands
from .table import print_table


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status; an error is one line on stderr."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["sample"]:
        return sample.main(arguments[1:])
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(Home.of_environment(), options) or 0)
    except (LocalCloudError, OSError) as exc:
        print(f"localcloud: {exc}", file=sys.stderr)
    except KeyboardInterrupt:
        print("localcloud: interrupted", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="localcloud",
        description="Two small clouds on this machine: old and new.",
        epilog="State is kept in the folder LOCALCLOUD_HOME, by default .localcloud.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the daemon and all there is; wait till it serves")
    up.set_defaults(run=_up)
    down = commands.add_parser("down", help="stop everything")
    down.add_argument("--delete", action="store_true", help="delete all there is and its data, too")
    down.set_defaults(run=_down)
    status = commands.add_parser("status", help="show all there is; exit 3 if down")
    status.add_argument("--json", action="store_true", help="as the API tells it")
    status.set_defaults(run=_status)
    _add_psql(commands)
    add_server_commands(commands)
    add_pooler_commands(commands)
    add_cluster_commands(commands)
    fetch = commands.add_parser("fetch", help="download the binaries of some majors")
    fetch.add_argument("major", type=int, nargs="+", choices=MAJORS)
    fetch.set_defaults(run=_fetch)
    serving = commands.add_parser("serve", help="be the daemon, in the foreground")
    serving.set_defaults(run=lambda home, _: serve(home))
    commands.add_parser("sample", help="the sample platform; see: localcloud sample --help")
    return parser


def _up(home: Home, _: argparse.Namespace) -> None:
    print(lifecycle.up(home))


def _down(home: Home, options: argparse.Namespace) -> None:
    print(lifecycle.down(home, delete=options.delete))


def _fetch(_: Home, options: argparse.Namespace) -> None:
    for major in options.major:
        print(binaries(major))


def _status(home: Home, options: argparse.Namespace) -> int:
    if running(home) is None:
        down = {"state": "down", "servers": [], "poolers": [], "clusters": []}
        print(json.dumps(down) if options.json else "The local cloud is down")
        return 3
    found = Client(home).call("GET", "/v1/clouds")
    if options.json:
        print(json.dumps({"state": "up", **found}, indent=1))
        return 0
    print_table(_rows(found["servers"] + found["poolers"]))
    if found["clusters"]:
        print()
        print_table(cluster_rows(found["clusters"]))
    return 0


def _rows(resources: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("CLOUD", "NAME", "VERSION", "STATE", "ADDRESS", "ADMIN", "")]
    for each in resources:
        address = f"{each['host']}:{each['port']}"
        note = each["state_reason"] or ("restart pending" if each.get("pending_restart") else "")
        version = str(each.get("version", "pooler"))
        first = (each["cloud"], each["name"], version, each["state"])
        rows.append((*first, address, each["admin_user"], note))
    return rows


def _add_psql(commands: Any) -> None:
    psql = commands.add_parser("psql", help="open psql on a database, over TLS, as a role")
    psql.add_argument("cloud", choices=CLOUDS)
    psql.add_argument("dbname", nargs="?", default="postgres")
    psql.add_argument("--server", help="the server's name; by default the cloud's only one")
    psql.add_argument("--user", help="the role; by default the server's admin")
    psql.add_argument("-c", "--command", action="append", default=[], help="run this and end")
    psql.set_defaults(run=_psql)


def _psql(home: Home, options: argparse.Namespace) -> int:
    server = _chosen(Client(home), options.cloud, options.server)
    user = options.user or server["admin_user"]
    secret = home.root / "secrets" / user
    environment = {
        **os.environ,
        "PGHOST": server["host"],
        "PGPORT": str(server["port"]),
        "PGUSER": user,
        "PGDATABASE": options.dbname,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(home.root / "ca.pem"),
    }
    if secret.exists():
        environment["PGPASSWORD"] = secret.read_text(encoding="utf-8").strip()
    program = str(_psql_program())
    argv = [program, "-X", *(word for each in options.command for word in ("-c", each))]
    return subprocess.run(argv, env=environment, check=False).returncode  # noqa: S603  # no shell


def _psql_program() -> Path:
    return binaries(17) / "psql"


def _chosen(client: Client, cloud: str, name: str | None) -> dict[str, Any]:
    if name:
        return client.read(cloud, name)
    servers = client.call("GET", server_path(cloud, "").rstrip("/"))["servers"]
    if len(servers) != 1:
        names = ", ".join(each["name"] for each in servers) or "none"
        raise InvalidRequest(f"name a server of cloud {cloud} with --server; there are: {names}")
    found: dict[str, Any] = servers[0]
    return found
