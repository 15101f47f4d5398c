# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connections to the source and the target server, and psycopg's errors in our terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.common.parameters import env_fallback

from ..errors import PostgresError, PreconditionError
from .diagnosis import diagnose

try:
    import psycopg
except ImportError:
    psycopg = None  # type: ignore[assignment]  # reported by connect()

SSLMODES = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]

# libpq keywords; seconds, and milliseconds for tcp_user_timeout. A peer that vanished is noticed.
DEFAULTS = {
    "application_name": "landbridge",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "tcp_user_timeout": "90000",
    "client_encoding": "UTF8",
}

# Every setting that changes how a value is written or read, and every limit that a database or a
# role may carry (ALTER DATABASE … SET): pinned, so that both sides speak alike. Known to all
# majors from 10 on; newer ones follow in LIMITS.
SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO,YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "xmloption": "content",
    "array_nulls": "on",
    "standard_conforming_strings": "on",
    "search_path": "",
    "row_security": "off",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}

# Limits that came later: the first server_version_num that knows each.
LIMITS = {"idle_session_timeout": 140000, "transaction_timeout": 170000}

# After these the same statement may succeed unchanged: Postgres, appendix A.
RETRYABLE_SQLSTATES = frozenset({"40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03"})


def server_spec(side: str) -> dict[str, Any]:
    """Argument spec of one server; doc_fragments/pg.py documents it.

    :param side: ``source``, ``target`` or ``server`` (a module that talks to one server only);
        names the variable the password falls back to.
    """
    password_env = f"LANDBRIDGE_{side.upper()}_PASSWORD"
    return {
        "type": "dict",
        "required": True,
        "options": {
            "host": {"type": "str", "required": True},
            "port": {"type": "int", "default": 5432},
            "dbname": {"type": "str", "required": True},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "no_log": True, "fallback": (env_fallback, [password_env])},
            "sslmode": {"type": "str", "default": "verify-full", "choices": SSLMODES},
            "sslrootcert": {"type": "path"},
        },
    }


@contextmanager
def connect(
    side: str, server: Mapping[str, Any], *, pinned: bool = True
) -> Iterator[psycopg.Connection]:
    """Open an autocommit connection to ``server``, closed when the block ends.

    :param pinned: pin SESSION; without it the session is as an application's, such as its
        search_path.

    Raise PostgresError, its message starting with ``side``, for any error of psycopg's in
    connecting or in the block.
    """
    if psycopg is None:
        raise PreconditionError(missing_required_lib("psycopg[binary] >= 3.2"))
    keywords = {name: value for name, value in server.items() if value is not None}
    options = session_options() if pinned else None
    conninfo = psycopg.conninfo.make_conninfo(**{**DEFAULTS, "options": options, **keywords})
    try:
        opened = psycopg.connect(conninfo, autocommit=True)
    except psycopg.OperationalError as exc:
        raise _unconnected(side, server, exc) from exc
    with translated(side), opened as conn:
        lift_limits(conn)
        yield conn


def _unconnected(
    side: str, server: Mapping[str, Any], exc: psycopg.OperationalError
) -> PostgresError:
    message = " ".join(str(exc).removeprefix("connection failed: ").split())
    found = diagnose(server, exc.pgconn, message)
    return PostgresError(f"{side}: {message}", retryable=found.retryable, hint=found.hint)


@contextmanager
def translated(side: str) -> Iterator[None]:
    """Raise PostgresError of ``side`` for an error of psycopg's in the block.

    For a block that uses connections of both sides: connect() of the inner one would name itself.
    """
    try:
        yield
    except psycopg.Error as exc:
        raise _postgres_error(side, exc) from exc


def session_options(**more: str) -> str:
    """Return libpq's ``options`` keyword (or PGOPTIONS) that pins SESSION and ``more``."""
    settings = (f"-c {name}={_escape(value)}" for name, value in {**SESSION, **more}.items())
    return " ".join(settings)


def _escape(value: str) -> str:
    # pg_split_opts() in postinit.c splits at unescaped white space.
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def lift_limits(conn: psycopg.Connection) -> None:
    """Switch off the time limits of newer majors, which older ones would refuse to hear of."""
    version = conn.info.server_version
    if names := [name for name, since in LIMITS.items() if version >= since]:
        conn.execute("; ".join(f"SET {name} = 0" for name in names))


def _postgres_error(side: str, exc: psycopg.Error) -> PostgresError:
    # libpq gives no SQLSTATE for a refused or lost connection; both may heal, so both count.
    unreachable = exc.sqlstate is None and isinstance(exc, psycopg.OperationalError)
    return PostgresError(
        f"{side}: {exc}",
        retryable=unreachable or exc.sqlstate in RETRYABLE_SQLSTATES,
        hint=exc.diag.message_hint or "",
        sqlstate=exc.sqlstate,
    )
