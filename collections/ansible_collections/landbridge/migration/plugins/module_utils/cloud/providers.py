# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which providers there are, and the options that every module asking one shares.

A new provider is a folder with a driver and one branch in driver(). Each is imported where it is
chosen: its SDK is an optional extra, needed by nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.common.parameters import env_fallback

from ..errors import PreconditionError
from ..pg.connection import SSLMODES
from ..waiting import Deadline
from .server import Driver

KNOWN = ("existing", "local")


def driver(params: Mapping[str, Any], deadline: Deadline) -> Driver:
    """Return the driver that a module's parameters choose; see provider_spec().

    Raise PreconditionError, naming those there are, if there is no such provider.
    """
    settings = params["settings"] or {}
    match params["provider"]:
        case "existing":
            from .existing import postgres as existing

            return existing.driver(settings, params["admin_user"], params["admin_password"])
        case "local":
            from .local import postgres as local

            return local.driver(settings, deadline)
        case unknown:
            raise PreconditionError(
                f"provider {unknown} is not known; known are {' and '.join(KNOWN)}",
                hint="Set the server's provider to one of them; existing serves any endpoint.",
            )


def provider_spec() -> dict[str, Any]:
    """Argument spec of a server at its provider; doc_fragments/provider.py documents it."""
    return {
        "provider": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "admin_user": {"type": "str"},
        "admin_password": {
            "type": "str",
            "no_log": True,
            "fallback": (env_fallback, ["LANDBRIDGE_ADMIN_PASSWORD"]),
        },
        "settings": {
            "type": "dict",
            "options": {
                "cloud": {"type": "str"},
                "api": {"type": "path"},
                "host": {"type": "str"},
                "port": {"type": "int", "default": 5432},
                "dbname": {"type": "str", "default": "postgres"},
                "sslmode": {"type": "str", "default": "verify-full", "choices": SSLMODES},
                "sslrootcert": {"type": "path"},
            },
        },
        "timeout": {"type": "int", "default": 1800},
    }
