# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server as modules return it: JSON, small, and the same shape whether it is there or not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from .server import Server, Wanted

SHOWN = (
    "name", "state", "state_reason", "version", "host", "port", "admin_user", "pending_restart",
    "firewall", "backup", "high_availability", "storage_mb", "ca",
)  # fmt: skip


def shown(server: Server | None, parameters: Iterable[str]) -> dict[str, Any]:
    """Return the server's description with the values of the named parameters."""
    if server is None:
        return {}
    described = asdict(server)
    values = {
        name: server.parameters[name].value for name in parameters if name in server.parameters
    }
    return {
        **{name: described[name] for name in SHOWN},
        "waiting_for_restart": server.waiting_for_restart,
        "parameters": values,
    }


def evidence_of(server: Server | None, wanted: Wanted) -> dict[str, Any]:
    """Return what a checkpoint keeps: what was read, and how the login was proven."""
    if server is None:
        return {}
    found = shown(server, wanted.parameters)
    del found["ca"], found["state_reason"]
    return {**found, "login": server.sslmode if wanted.admin_password else None}
