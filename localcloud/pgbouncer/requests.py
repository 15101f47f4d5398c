"""What clients may ask of a pooler."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import InvalidRequest
from ..requests import Reader, number, read_body, require, secret, text

# What cfparser.c takes for a key, without the name of the console and the fallback *.
DATABASE = re.compile(r"(?!pgbouncer$)[A-Za-z0-9_.-]{1,63}")

DEFAULTS: dict[str, Any] = {"pool_size": 20, "max_clients": 500}

CREATE = {*DEFAULTS, "admin_user", "admin_password", "databases", "users"}


def read_create(body: Any) -> dict[str, Any]:
    """Return a complete description of a pooler to make."""
    found = read_body(body, CREATE, READERS)
    require(found, "admin_user", "admin_password", "databases", "users")
    if found["admin_user"] in found["users"]:
        raise InvalidRequest("admin_user is a user of the databases, too; give it another name")
    return {**DEFAULTS, **found}


def _databases(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not value:
        raise InvalidRequest("databases must be an object: name to {host, port, dbname}")
    return {_database(name): _target(name, each) for name, each in value.items()}


def _database(name: str) -> str:
    if not DATABASE.fullmatch(name):
        raise InvalidRequest(
            f"databases: {name!r} is no name at a pooler: letters, digits and _.-, not pgbouncer"
        )
    return name


def _target(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) != {"host", "port", "dbname"}:
        raise InvalidRequest(f"databases: {name} must be an object with host, port and dbname")
    return {
        "host": text(f"databases: {name}: host", value["host"]),
        "port": number(f"databases: {name}: port", value["port"], 1, 65535),
        "dbname": text(f"databases: {name}: dbname", value["dbname"]),
    }


def _users(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise InvalidRequest("users must be an object: role to password")
    return {text("users", name): _password(name, each) for name, each in value.items()}


def _password(name: str, value: Any) -> str:
    found = secret(f"users: {name}: the password", value)
    if "\n" in found:
        raise InvalidRequest(f"users: {name}: the password must be one line")
    return found


READERS: Mapping[str, Reader] = {
    "admin_user": lambda value: text("admin_user", value),
    "admin_password": lambda value: _password("admin_user", value),
    "databases": _databases,
    "users": _users,
    "pool_size": lambda value: number("pool_size", value, 1, 1000),
    "max_clients": lambda value: number("max_clients", value, 1, 10000),
}
