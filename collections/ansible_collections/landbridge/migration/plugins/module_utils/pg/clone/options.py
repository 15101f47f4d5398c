# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options of pg_clone as a request, and a copy as its result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.parameters import env_fallback

from ...errors import PreconditionError
from ..connection import server_spec
from .clone import Copied
from .request import Request

SHOWN = 100  # results over 700,000 characters are dropped by ansible-runner


def argument_spec() -> dict[str, Any]:
    return {
        "source": server_spec("source"),
        "target": server_spec("target"),
        "role_map": {"type": "dict", "default": {}},
        "jobs": {"type": "int"},
        "small_sessions": {"type": "int"},
        "bin_dir": {"type": "path", "fallback": (env_fallback, ["LANDBRIDGE_PG_BIN"])},
        "adopt": {"type": "raw", "default": False},
        "progress_path": {"type": "path"},
    }


def request(params: Mapping[str, Any], *, check_mode: bool) -> Request:
    """Return what the options ask for. Raise PreconditionError for values of no use."""
    for name in ("jobs", "small_sessions"):
        if params[name] is not None and params[name] < 1:
            raise PreconditionError(f"{name} is {params[name]}; at least 1 is needed")
    return Request(
        source=params["source"],
        target=params["target"],
        role_map=params["role_map"],
        jobs=params["jobs"] or len(os.sched_getaffinity(0)),
        small_sessions=params["small_sessions"],
        bin_dir=params["bin_dir"],
        adopt=_adopt(params["adopt"]),
        check_mode=check_mode,
    )


def _adopt(value: Any) -> bool | list[str]:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "yes", "false", "no"):  # a raw option is not converted
        return str(value).lower() in ("true", "yes")
    raise PreconditionError("adopt is neither a list of names nor true or false")


def result(copied: Copied) -> dict[str, Any]:
    """Return what RETURN documents."""
    return {
        "changed": copied.changed,
        "tables_count": len(copied.rows_by_table()),
        "rows": sum(copied.rows_by_table().values()),
        "bytes": copied.bytes(),
        "elapsed_s": round(copied.elapsed_s, 3),
        "parts_count": copied.parts_count(),
        "parts_resumed": copied.resumed,
        "tables": copied.tables()[:SHOWN],
        "findings": [finding._asdict() for finding in copied.findings[:SHOWN]],
        "findings_count": len(copied.findings),
        "evidence": copied.evidence,
    }
