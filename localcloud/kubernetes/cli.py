"""`localcloud cluster …`, `shell` and `build`: what the API offers of clusters, for a person."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any

from .. import processes
from ..client import SETTLE_TIMEOUT_S, Client, cluster_path
from ..errors import InvalidRequest
from ..home import CLOUDS, Home
from ..table import print_table
from .binaries import MODULES, build, folder_of, program


def add_cluster_commands(commands: Any) -> None:
    """Add `cluster`, `shell` and `build`."""
    cluster = commands.add_parser("cluster", help="create and delete Kubernetes clusters")
    actions = cluster.add_subparsers(required=True, metavar="ACTION")
    _action(actions, "create", _create, "make a cluster, unless it is there")
    _action(actions, "show", _show, "show a cluster as the API tells it")
    _action(actions, "kubeconfig", _kubeconfig, "print the path of the admin's kubeconfig")
    _action(actions, "delete", _delete, "delete a cluster and all that is in it")
    actions.add_parser("list", help="list the clusters").set_defaults(run=_list)
    shell = commands.add_parser("shell", help="open a shell whose kubectl speaks to a cluster")
    shell.add_argument("cloud", choices=CLOUDS)
    shell.add_argument("--cluster", help="its name; by default the cloud's only one")
    shell.add_argument("-c", "--command", help="run this and end")
    shell.set_defaults(run=_shell)
    building = commands.add_parser("build", help="build what clusters need from pinned Go modules")
    building.add_argument("module", nargs="+", choices=sorted(MODULES))
    building.set_defaults(run=_build)


def _action(actions: Any, name: str, run: Any, text: str) -> None:
    parser = actions.add_parser(name, help=text)
    parser.add_argument("cloud", choices=CLOUDS)
    parser.add_argument("name")
    parser.set_defaults(run=run)


def cluster_rows(clusters: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return a table's rows, the heading first."""
    names = ("cloud", "name", "version", "state", "endpoint", "state_reason")
    heading = ("CLOUD", "CLUSTER", "VERSION", "STATE", "ENDPOINT", "")
    return [heading, *(tuple(each[name] for name in names) for each in clusters)]


def _create(home: Home, options: argparse.Namespace) -> None:
    client = Client(home)
    build("kubernetes", _say)
    client.call("PUT", cluster_path(options.cloud, options.name), {})
    found = client.settle_cluster(options.cloud, options.name)
    print(f"{found['cloud']}/{found['name']} is ready at {found['endpoint']}")


def _list(home: Home, _: argparse.Namespace) -> None:
    print_table(cluster_rows(Client(home).clusters()))


def _show(home: Home, options: argparse.Namespace) -> None:
    print(json.dumps(Client(home).call("GET", cluster_path(options.cloud, options.name)), indent=1))


def _kubeconfig(home: Home, options: argparse.Namespace) -> None:
    print(Client(home).call("GET", cluster_path(options.cloud, options.name))["kubeconfig"])


def _delete(home: Home, options: argparse.Namespace) -> None:
    client = Client(home)
    client.call("DELETE", cluster_path(options.cloud, options.name))
    awaited = f"{options.cloud}/{options.name} is deleted"
    gone = client.cluster_absent(options.cloud, options.name)
    processes.wait_until(gone, SETTLE_TIMEOUT_S, awaited, poll=0.1)
    print(awaited)


def _shell(home: Home, options: argparse.Namespace) -> int:
    """Run a shell with kubectl in PATH and KUBECONFIG set; return its exit status."""
    cluster = _chosen(Client(home), options.cloud, options.cluster)
    kubectl = program("kubernetes", "kubectl")
    environment = {
        **os.environ,
        "KUBECONFIG": cluster["kubeconfig"],
        "PATH": f"{kubectl.parent}:{os.environ.get('PATH', os.defpath)}",
    }
    shell = os.environ.get("SHELL", "/bin/sh")
    argv = [shell, "-c", options.command] if options.command else [shell]
    return subprocess.run(argv, env=environment, check=False).returncode  # noqa: S603  # its job


def _chosen(client: Client, cloud: str, name: str | None) -> dict[str, Any]:
    if name:
        return client.call("GET", cluster_path(cloud, name))
    clusters = [each for each in client.clusters() if each["cloud"] == cloud]
    if len(clusters) != 1:
        names = ", ".join(each["name"] for each in clusters) or "none"
        raise InvalidRequest(f"name a cluster of cloud {cloud} with --cluster; there are: {names}")
    return clusters[0]


def _build(_: Home, options: argparse.Namespace) -> None:
    for module in options.module:
        build(module, _say)
        print(folder_of(module))


def _say(text: str) -> None:
    print(f"localcloud: {text}", file=sys.stderr, flush=True)
