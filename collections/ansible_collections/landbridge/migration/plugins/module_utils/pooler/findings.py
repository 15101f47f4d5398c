# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of PgBouncer that make a crossing slow, or cost applications an error; pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..pg.finding import Finding
from .ini import Target
from .pooler import Route

# A refused login delays the next one by server_login_retry; the crossing should not meet it.
LONGEST_RETRY_S = 1.0

FILE_DIFFERS = "pooler_file_differs"


def of_settings(dbname: str, settings: Mapping[str, str], pause_s: float) -> list[Finding]:
    """Return what SHOW CONFIG tells of a pause of up to ``pause_s``.

    A setting that this version does not have is taken for fine.
    """
    about = f"pooler database {dbname}"
    checks = (
        _pool_mode(about, settings),
        _query_wait(about, settings, pause_s),
        _login_retry(about, settings),
        _bundle(about, "client", settings, "each RELOAD"),
        _bundle(about, "server", settings, "each new connection"),
    )
    return [finding for finding in checks if finding]


def of_file(dbname: str, route: Route, target: Target | None) -> list[Finding]:
    """Return whether the file says what PgBouncer does."""
    if target is not None and route.leads_to(*target):
        return []
    said = f"{target.host}:{target.port}/{target.dbname}" if target else "nothing"
    runs = f"{route.host}:{route.port}/{route.dbname}"
    return [
        Finding(
            FILE_DIFFERS,
            "blocker" if target is None else "warning",
            f"pooler database {dbname}",
            f"its file says {said} and PgBouncer goes to {runs}",
            "Name the file that PgBouncer reads, with a line for this database, and RELOAD.",
        )
    ]


def _pool_mode(about: str, settings: Mapping[str, str]) -> Finding | None:
    mode = settings.get("pool_mode", "transaction")
    if mode != "session":
        return None
    return Finding(
        "pooler_session_mode",
        "blocker",
        about,
        "pool_mode is session: a pause waits until every client has disconnected",
        "Set pool_mode to transaction, if the applications keep no state in their sessions.",
    )


def _query_wait(about: str, settings: Mapping[str, str], pause_s: float) -> Finding | None:
    limit_s = _seconds(settings, "query_wait_timeout")
    if not 0 < limit_s <= 2 * pause_s:
        return None
    return Finding(
        "pooler_query_wait_short",
        "warning",
        about,
        f"query_wait_timeout is {limit_s:g} s: a client that waits longer is disconnected",
        f"Set it to more than {2 * pause_s:g}, twice the time a pause may take.",
    )


def _login_retry(about: str, settings: Mapping[str, str]) -> Finding | None:
    retry_s = _seconds(settings, "server_login_retry")
    if retry_s <= LONGEST_RETRY_S:
        return None
    return Finding(
        "pooler_login_retry_long",
        "warning",
        about,
        f"server_login_retry is {retry_s:g} s: after a login that failed all clients wait so long",
        f"Set it to {LONGEST_RETRY_S:g}.",
    )


def _bundle(about: str, side: str, settings: Mapping[str, str], reader: str) -> Finding | None:
    mode = settings.get(f"{side}_tls_sslmode", "disable")
    unchecked = ("disable",) if side == "client" else ("disable", "allow", "prefer", "require")
    if mode in unchecked or settings.get(f"{side}_tls_ca_file"):
        return None
    return Finding(
        f"pooler_{side}_ca_unset",
        "warning",
        about,
        f"{side}_tls_ca_file is not set: {reader} reads the system's bundle, 50 ms for all",
        f"Set {side}_tls_ca_file to a file with the one authority that is needed.",
    )


def _seconds(settings: Mapping[str, str], name: str) -> float:
    try:
        return float(settings.get(name, 0))
    except ValueError:
        return 0.0
