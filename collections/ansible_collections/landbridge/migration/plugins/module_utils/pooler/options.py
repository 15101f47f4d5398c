# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of a pooler, which every module that moves applications shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.common.parameters import env_fallback

from ..errors import PreconditionError
from ..pg.connection import SSLMODES
from . import pgbouncer
from .none import NoPooler
from .pooler import Pooler

KINDS = ["pgbouncer", "none"]

SERVER = ("host", "port", "dbname", "user", "password", "sslmode", "sslrootcert")


def pooler_spec(*, required: bool = False) -> dict[str, Any]:
    """Argument spec of a pooler; doc_fragments/pooler.py documents it."""
    password_env = "LANDBRIDGE_POOLER_PASSWORD"  # noqa: S105  # a variable's name
    return {
        "type": "dict",
        "required": required,
        "options": {
            "kind": {"type": "str", "default": "pgbouncer", "choices": KINDS},
            "host": {"type": "str"},
            "port": {"type": "int", "default": 6432},
            "dbname": {"type": "str", "default": "pgbouncer"},
            "user": {"type": "str"},
            "password": {"type": "str", "no_log": True, "fallback": (env_fallback, [password_env])},
            "sslmode": {"type": "str", "default": "verify-full", "choices": SSLMODES},
            "sslrootcert": {"type": "path"},
            "config_file": {"type": "path"},
            "database": {"type": "str"},
        },
    }


def name_at(params: Mapping[str, Any] | None, dbname: str) -> str:
    """Return the name under which applications ask the pooler for the database ``dbname``."""
    return (params or {}).get("database") or dbname


def required_name(params: Mapping[str, Any]) -> str:
    """Return the database's name at the pooler. Raise PreconditionError if none was given."""
    if not (params.get("database") or params["kind"] == "none"):
        raise PreconditionError(
            "pooler: which database is meant was not said",
            hint="Set pooler.database to the name that applications ask the pooler for.",
        )
    return params.get("database") or ""


@contextmanager
def opened(params: Mapping[str, Any] | None) -> Iterator[Pooler]:
    """Yield the pooler that options describe; without options, there is none.

    Raise PreconditionError if what its kind needs was not said.
    """
    if params is None or params["kind"] == "none":
        yield NoPooler()
        return
    if not (params["host"] and params["user"]):
        raise PreconditionError(
            "pooler: host and user of PgBouncer's admin console are needed",
            hint="Set both, the user being one of PgBouncer's admin_users.",
        )
    server = {name: params[name] for name in SERVER}
    with pgbouncer.opened(server, params["config_file"]) as pooler:
        yield pooler
