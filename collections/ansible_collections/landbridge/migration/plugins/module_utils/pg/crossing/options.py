# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of pg_cutover as a request, and what came of it as its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...errors import PreconditionError
from ...pooler import options as pooler_options
from ...pooler.none import NoPooler
from ..connection import server_spec
from ..follow.address import addresses_spec
from .crossing import Done
from .request import GOALS, Limits, Request

REPORTED = 100  # results over 700,000 characters are dropped by ansible-runner


def argument_spec() -> dict[str, Any]:
    route = {
        "type": "dict",
        "options": {"host": {"type": "str"}, "port": {"type": "int"}, "dbname": {"type": "str"}},
    }
    return {
        "source": server_spec("source"),
        "target": server_spec("target"),
        "direction": {"type": "str", "default": "forward", "choices": sorted(GOALS, reverse=True)},
        "role_map": {"type": "dict", "default": {}},
        "pooler": pooler_options.pooler_spec(),
        "routes": {
            "type": "dict",
            "default": {},
            "options": {"source": route, "target": dict(route)},
        },
        "addresses": addresses_spec(),
        "keep": {"type": "list", "elements": "str", "default": []},
        "way_back": {"type": "bool", "default": True},
        "until": {"type": "str", "default": "done", "choices": ["fenced", "done"]},
        "pause_timeout_s": {"type": "float", "default": 5.0},
        "drain_timeout_s": {"type": "float", "default": 10.0},
        "delta_budget_ms": {"type": "int", "default": 0},
    }


@contextmanager
def requested(params: Mapping[str, Any], *, check_mode: bool) -> Iterator[Request]:
    """Yield what the options ask for, the pooler's sessions open while the block runs.

    Raise PreconditionError for values of no use.
    """
    for name in ("pause_timeout_s", "drain_timeout_s"):
        if params[name] <= 0:
            raise PreconditionError(f"{name} is {params[name]:g}; more than 0 is needed")
    with pooler_options.opened(params["pooler"]) as pooler:
        if params["until"] == "fenced" and not isinstance(pooler, NoPooler):
            raise PreconditionError(
                "until fenced leaves both sides fenced, which applications at a pooler would meet",
                hint="Leave until out: the pooler holds them until the other side is open.",
            )
        yield Request(
            goal=GOALS[params["direction"]],
            source=params["source"],
            target=params["target"],
            pooler=pooler,
            dbname=pooler_options.name_at(params["pooler"], params["source"]["dbname"]),
            role_map=params["role_map"],
            addresses=params["addresses"] or {},
            routes=params["routes"] or {},
            keep=params["keep"],
            limits=Limits(
                params["pause_timeout_s"], params["drain_timeout_s"], params["delta_budget_ms"]
            ),
            way_back=params["way_back"],
            until=params["until"],
            check_mode=check_mode,
        )


def result(done: Done) -> dict[str, Any]:
    """Return what RETURN documents."""
    findings = [finding._asdict() for finding in done.findings]
    return {
        "changed": done.changed,
        "steps": done.said(),
        "findings": findings[:REPORTED],
        "findings_count": len(findings),
        "evidence": done.evidence,
        "diff": {"prepared": "".join(f"{line}\n" for line in done.lines())},
    }
