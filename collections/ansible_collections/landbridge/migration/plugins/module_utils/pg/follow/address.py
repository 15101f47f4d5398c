# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How one server reaches the other: it may be another way than ours to either of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..connection import SSLMODES
from .replication_role import Login

# libpq keywords of the subscription, in seconds: a peer that vanished is noticed and come back to.
KEEPALIVE = {
    "application_name": "landbridge",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
}


def addresses_spec() -> dict[str, Any]:
    """Argument spec of the option that doc_fragments/pg_link.py documents."""
    address = {
        "type": "dict",
        "options": {
            "host": {"type": "str"},
            "port": {"type": "int"},
            "sslmode": {"type": "str", "choices": SSLMODES},
            "sslrootcert": {"type": "str"},
        },
    }
    return {"type": "dict", "default": {}, "options": {"source": address, "target": dict(address)}}


def seen(
    server: Mapping[str, Any], address: Mapping[str, Any] | None, login: Login
) -> dict[str, Any]:
    """Return libpq's keywords by which the other server reaches ``server``.

    Whatever ``address`` leaves open is as this machine reaches it, so that nothing is less strict
    than asked: a certificate's file that is not on the other server's host is an error there.
    """
    keywords = {name: server.get(name) for name in ("host", "port", "sslmode", "sslrootcert")}
    keywords |= {name: value for name, value in (address or {}).items() if value is not None}
    if keywords["sslmode"] not in ("verify-ca", "verify-full"):
        keywords["sslrootcert"] = None  # with one, libpq makes verify-ca of require
    known = {name: value for name, value in keywords.items() if value is not None}
    return {
        **KEEPALIVE,
        **known,
        "dbname": server["dbname"],
        "user": login.user,
        "password": login.password,
    }
