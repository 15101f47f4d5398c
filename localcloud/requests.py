"""What clients may ask for: bodies checked whole, so that one sentence tells what is wrong."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from typing import Any

from .errors import InvalidRequest
from .postgres.binaries import MAJORS
from .postgres.configuration import RESERVED, SUPERUSER

NAME = re.compile(r"[a-z][a-z0-9_-]{0,61}")
PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?")

Reader = Callable[[Any], Any]

# What a server has if nothing else is asked for.
DEFAULTS: dict[str, Any] = {
    "version": 17,
    "parameters": {},
    "firewall": ["127.0.0.1/32"],
    "backup": {"retention_days": 7},
    "high_availability": False,
    "storage_mb": 32768,
    "restore_from": None,
}

CREATE = {*DEFAULTS, "admin_user", "admin_password"}
UPDATE = CREATE - {"version", "admin_user", "restore_from"}


def check_name(name: str) -> None:
    """Raise InvalidRequest unless a resource may be called ``name``."""
    if not NAME.fullmatch(name):
        raise InvalidRequest(
            f"{name!r} is no resource's name: up to 62 lower-case letters, digits, _ and -,"
            " a letter first"
        )


def read_create(body: Any) -> dict[str, Any]:
    """Return a complete description of a server to make."""
    found = read_body(body, CREATE, READERS)
    require(found, "admin_user", "admin_password")
    parameters = found.get("parameters", {})
    found["parameters"] = {name: value for name, value in parameters.items() if value is not None}
    return {**DEFAULTS, **found}


def read_update(body: Any) -> dict[str, Any]:
    """Return the changes to a server; a parameter of None is set back to its default."""
    return read_body(body, UPDATE, READERS)


def read_nothing(body: Any) -> None:
    """Raise InvalidRequest if a request that takes no body has one."""
    if body not in (None, {}):
        raise InvalidRequest("this request takes no body")


def read_body(body: Any, known: set[str], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Return what a body says, each field read by its reader; a field of None counts as absent."""
    if not isinstance(body, dict):
        raise InvalidRequest("the body is no JSON object")
    if unknown := sorted(set(body) - known):
        raise InvalidRequest(
            f"{unknown[0]} is not known here; known are {', '.join(sorted(known))}"
        )
    return {name: readers[name](value) for name, value in body.items() if value is not None}


def require(found: Mapping[str, Any], *names: str) -> None:
    """Raise InvalidRequest if a field is missing."""
    for name in names:
        if name not in found:
            raise InvalidRequest(f"{name} is missing")


def _version(value: Any) -> int:
    if not is_int(value) or value not in MAJORS:
        raise InvalidRequest(f"version must be one of {', '.join(map(str, MAJORS))}")
    return int(value)


def _admin_user(value: Any) -> str:
    name = text("admin_user", value)
    if len(name.encode()) > 63 or name.startswith("pg_") or name in (SUPERUSER, "public", "none"):
        raise InvalidRequest(f"admin_user cannot be {name!r}: it is too long or reserved")
    return name


def secret(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise InvalidRequest(f"{name} must be a text that is not empty")
    return value


def text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise InvalidRequest(f"{name} must be a text that is not empty")
    return value


def _parameters(value: Any) -> dict[str, str | None]:
    if not isinstance(value, dict):
        raise InvalidRequest("parameters must be an object: name to value")
    return {_parameter_name(name): _parameter_value(name, each) for name, each in value.items()}


def _parameter_name(name: str) -> str:
    if not PARAMETER.fullmatch(name):
        raise InvalidRequest(f"parameters: {name!r} is no parameter's name")
    if name.lower() in RESERVED:
        raise InvalidRequest(f"parameters: {name} is set by the provider")
    return name.lower()


def _parameter_value(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str) or "\n" in value or "\0" in value:
        raise InvalidRequest(f"parameters: {name} must be a text, a number or a boolean")
    return value


def _firewall(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise InvalidRequest("firewall must be a list of address ranges such as 127.0.0.1/32")
    return [_range(each) for each in value]


def _range(value: Any) -> str:
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else ""))
    except ValueError as exc:
        raise InvalidRequest(f"firewall: {value!r} is no address range ({exc})") from None


def _backup(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or set(value) != {"retention_days"}:
        raise InvalidRequest("backup must be an object with retention_days")
    return {"retention_days": number("backup: retention_days", value["retention_days"], 1, 35)}


def number(name: str, value: Any, lowest: int, highest: int) -> int:
    if not is_int(value) or not lowest <= value <= highest:
        raise InvalidRequest(f"{name} must be a whole number from {lowest} to {highest}")
    return int(value)


def is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _high_availability(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest("high_availability must be true or false")
    return value


def _restore_from(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or set(value) != {"server", "backup"}:
        raise InvalidRequest("restore_from must be an object with server and backup")
    return {key: text(f"restore_from: {key}", value[key]) for key in ("server", "backup")}


READERS: Mapping[str, Reader] = {
    "version": _version,
    "admin_user": _admin_user,
    "admin_password": lambda value: secret("admin_password", value),
    "parameters": _parameters,
    "firewall": _firewall,
    "backup": _backup,
    "high_availability": _high_availability,
    "storage_mb": lambda value: number("storage_mb", value, 32, 64 * 1024 * 1024),
    "restore_from": _restore_from,
}
