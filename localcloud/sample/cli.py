"""The command line of the sample platform: `localcloud sample …`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import InvalidRequest, LocalCloudError
from ..home import Home
from . import check, cloud, ledger, names, tables, writer, writers
from .databases import DATABASES, Database, select
from .load import Loaded, load
from .places import Places

RATE = 40.0
CONNECTIONS = 2
WRITING = [database.name for database in DATABASES if database.writes]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Return its exit status."""
    parser = argparse.ArgumentParser(prog="localcloud sample", description=__doc__)
    add_arguments(parser)
    args = parser.parse_args(argv)
    home = args.home.absolute() if args.home else Home.of_environment().root
    try:
        status: int = args.run(args, Places(home))
    except LocalCloudError as exc:
        sys.stderr.write(f"localcloud sample: {exc}\n")
        return 1
    return status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sample's commands to ``parser``."""
    parser.add_argument("--home", type=Path, help="the local cloud's folder (LOCALCLOUD_HOME)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_load(commands)
    _add_writers(commands)
    _add_repoint(commands)
    _add_ledger(commands)


def _add_load(commands: Any) -> None:
    parser = commands.add_parser("load", help="create roles and databases with their content")
    _add_place(parser)
    parser.add_argument("--server", required=True)
    parser.add_argument(
        "--password-file", type=Path, help="the admin's; secrets/<admin> in the home if not given"
    )
    parser.add_argument("--pooler", help="names stand for databases at this pooler of the cloud")
    parser.add_argument("--jobs", type=_count, default=2, help="databases at a time")
    parser.add_argument("--again", action="store_true", help="drop the ones that are there first")
    parser.set_defaults(run=_load)


def _add_repoint(commands: Any) -> None:
    parser = commands.add_parser("repoint", help="let names stand for databases elsewhere")
    _add_place(parser)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--server", help="on this server of the cloud")
    where.add_argument("--pooler", help="at this pooler of the cloud")
    parser.add_argument(
        "--wait", type=float, metavar="SECONDS", help="until running writers write there"
    )
    parser.set_defaults(run=_repoint)


def _add_place(parser: argparse.ArgumentParser) -> None:
    _add_names(parser, "databases")
    parser.add_argument("--cloud", required=True)


def _add_names(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{what}; all if none is named")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_writers(commands: Any) -> None:
    parser = commands.add_parser("writers", help="start, stop and look at the services' writers")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    start = actions.add_parser("start", help="start those that do not run")
    _add_names(start, "services")
    _add_load_of_a_writer(start)
    start.add_argument("--no-wait", action="store_true", help="not for the first write")
    start.set_defaults(run=_start)
    for action, function, text in (
        ("stop", _stop, "stop those that run"),
        ("status", _status, "what they did and do"),
    ):
        other = actions.add_parser(action, help=text)
        _add_names(other, "services")
        other.set_defaults(run=function)
    one = commands.add_parser("writer", help="be a service's writer, until told to stop")
    one.add_argument("name", choices=WRITING)
    _add_load_of_a_writer(one)
    one.set_defaults(run=_write)


def _add_load_of_a_writer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=_positive, default=RATE, help="writes a second, each")
    parser.add_argument("--connections", type=_count, default=CONNECTIONS, help="of each")


def _positive(text: str) -> float:
    if (value := float(text)) <= 0:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _add_ledger(commands: Any) -> None:
    parser = commands.add_parser("ledger", help="the record of every acknowledged write")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    checked = actions.add_parser("check", help="is each one there exactly once?")
    _add_names(checked, "services")
    checked.set_defaults(run=_check)


def _load(args: argparse.Namespace, places: Places) -> int:
    databases = select(args.names)
    server = cloud.server(places, args.cloud, args.server)
    password_file = args.password_file or places.password(server.admin_user)
    if args.again:
        writers.stop(places, [database.name for database in databases if database.writes])
    loaded = load(server.admin(password_file), databases, places, again=args.again, jobs=args.jobs)
    _begin(places, _addresses(args, places, databases), loaded, again=args.again)
    _print(args, [asdict(each) for each in loaded], tables.loaded(loaded))
    return 0


def _begin(
    places: Places, wanted: Mapping[str, names.Address], loaded: Sequence[Loaded], *, again: bool
) -> None:
    """Let names stand for what was loaded, and begin the ledgers of what is new.

    A name that stands for a database elsewhere keeps it, and its ledger, unless asked for again.
    """
    there = names.read(places)
    ours = {n: a for n, a in wanted.items() if again or there.get(n, a) == a}
    for name in {each.name for each in loaded if each.changed} & set(ours):
        places.ledger(name).unlink(missing_ok=True)
    names.repoint(places, ours)


def _addresses(
    args: argparse.Namespace, places: Places, databases: Sequence[Database]
) -> dict[str, names.Address]:
    """Return where names are to lead: to a pooler, if one is named, else to a server."""
    if args.pooler:
        pooler = cloud.pooler(places, args.cloud, args.pooler)
        return {each.name: names.pooled_address(places, each, pooler) for each in databases}
    server = cloud.server(places, args.cloud, args.server).endpoint
    return {each.name: names.address(places, each, server) for each in databases}


def _repoint(args: argparse.Namespace, places: Places) -> int:
    addresses = _addresses(args, places, select(args.names))
    where = {f"{each.host}:{each.port}" for each in addresses.values()}.pop()
    sizes = {name: ledger.size(places.ledger(name)) for name in addresses}
    changed = names.repoint(places, addresses)
    if args.wait:
        waited = {name: sizes[name] for name in changed}
        writers.wait_for_address(places, waited, where, args.wait)
    text = f"{where}: {', '.join(changed) or 'nothing changed'}"
    _print(args, {"changed": changed, "address": where}, text)
    return 0


def _services(args: argparse.Namespace) -> list[str]:
    """Return the services named, or all that write."""
    chosen = [database for database in select(args.names) if database.writes]
    if args.names and len(chosen) < len(args.names):
        raise InvalidRequest(f"only these services write: {', '.join(WRITING)}")
    return [database.name for database in chosen]


def _start(args: argparse.Namespace, places: Places) -> int:
    started = writers.start(
        places, _services(args), rate=args.rate, connections=args.connections,
        wait=not args.no_wait,
    )  # fmt: skip
    _print(args, {"started": started}, f"started: {', '.join(started) or 'all run already'}")
    return 0


def _stop(args: argparse.Namespace, places: Places) -> int:
    stopped = writers.stop(places, _services(args))
    _print(args, {"stopped": stopped}, f"stopped: {', '.join(stopped) or 'none runs'}")
    return 0


def _status(args: argparse.Namespace, places: Places) -> int:
    found = [writers.status(places, name) for name in _services(args)]
    _print(args, [asdict(each) for each in found], tables.status(found))
    return 0


def _write(args: argparse.Namespace, places: Places) -> int:
    return writer.run(args.name, places, rate=args.rate, connections=args.connections)


def _check(args: argparse.Namespace, places: Places) -> int:
    chosen = [name for name in _services(args) if args.names or places.ledger(name).exists()]
    if not chosen:
        raise InvalidRequest(f"there is no ledger in {places.ledger('x').parent}")
    found = [check.check(places, name) for name in chosen]
    described = [check.describe(each) for each in found]
    passed = all(each.passed for each in found)
    _print(args, {"passed": passed, "databases": described}, tables.ledger(described))
    return 0 if passed else 1


def _print(args: argparse.Namespace, value: Any, text: str) -> None:
    output = json.dumps(value, indent=1, default=str) if args.json else text
    sys.stdout.write(f"{output}\n")
