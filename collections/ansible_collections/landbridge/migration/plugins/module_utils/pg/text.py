# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""SQL text put together without a connection, for children and for stored plans."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


def ident(name: str) -> str:
    """Return ``name`` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def qualified(nspname: str, relname: str) -> str:
    """Return a schema-qualified, quoted name."""
    return f"{ident(nspname)}.{ident(relname)}"


def literal(value: str) -> str:
    """Return ``value`` as a string literal; standard_conforming_strings is pinned on."""
    return "'" + value.replace("'", "''") + "'"


def json_literal(value: Any) -> str:
    """Return ``value`` as a jsonb literal."""
    return literal(json.dumps(value)) + "::jsonb"


def array_literal(values: Iterable[str]) -> str:
    """Return ``values`` as a text[] expression."""
    return "ARRAY[" + ", ".join(literal(value) for value in values) + "]::text[]"
