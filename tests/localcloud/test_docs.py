"""The reference page names every command, route and field; each is there."""

import argparse
import re

from localcloud import cli, requests
from localcloud.api import Api
from localcloud.pgbouncer import requests as pooler_requests

from .conftest import CHECKOUT

PAGE = (CHECKOUT / "docs/reference/localcloud.md").read_text(encoding="utf-8")


def commands(parser, prefix=""):
    """Yield every command, such as `server create`."""
    groups = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not groups:
        yield prefix.strip()
    for group in groups:
        for name, inner in group.choices.items():
            yield from commands(inner, f"{prefix} {name}")


def test_every_command_is_documented():
    assert set(re.findall(r"^\| `([a-z]+(?: [a-z]+)?)[ `]", PAGE, re.MULTILINE)) >= set(
        commands(cli._parser())
    )


def test_every_route_is_documented_and_every_documented_route_is_there():
    documented = set(re.findall(r"^\| `([A-Z]+) (/[^`]+)`", PAGE, re.MULTILINE))
    routes = Api(None, None)._routes
    served = {
        (method, path)
        for method, path in documented
        for route in routes
        if route.method == method and route.path.fullmatch(path)
    }
    assert served == documented
    assert len(routes) == len(documented)


def test_every_field_is_documented():
    fields = sorted({*requests.CREATE, *pooler_requests.CREATE})
    assert [name for name in fields if f"`{name}`" not in PAGE] == []
