# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Can one server connect to the other, and may we have it do so? Found by trying.

No catalog knows a firewall between two clouds. CREATE SUBSCRIPTION connects from the server itself
while it runs; without a slot it may be rolled back, so nothing remains on either side: the
publisher gave one of its senders for some milliseconds. Rights are checked before the connection
is tried. The password must not be found in the server's log: a statement that fails is logged, so
the secret is bound to a setting of the transaction, and the error that would carry the statement
in its context is caught and raised anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

try:
    import psycopg
    from psycopg import conninfo
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

NAME = "landbridge_probe"

DENIED = "42501"
UNREACHABLE = "08006"
NO_PASSWORD = "2F003"  # noqa: S105  # the SQLSTATE: the publisher did not ask for one

CONNINFO = "SELECT set_config('landbridge.conninfo', %s, true)"

# No publication has this name, which is no more than a warning.
SUBSCRIBE = f"""\
DO $$
BEGIN
  EXECUTE format(
    'CREATE SUBSCRIPTION {NAME} CONNECTION %L PUBLICATION {NAME} WITH (connect = true,'
    ' enabled = false, create_slot = false, slot_name = NONE, copy_data = false)',
    current_setting('landbridge.conninfo'));
EXCEPTION WHEN OTHERS THEN
  RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM;
END $$"""


class Attempt(NamedTuple):
    """One server's attempt to connect to the other.

    :param address: host and port that were tried.
    :param sqlstate: None if it worked.
    :param message: the server's words, without a secret.
    """

    address: str
    sqlstate: str | None
    message: str


def attempt(conn: Connection, publisher: Mapping[str, Any]) -> Attempt:
    """Have ``conn``'s server connect to ``publisher`` as a subscriber would; leave nothing.

    :param publisher: libpq's keywords, as address.seen() returns them.
    """
    address = f"{publisher['host']}:{publisher['port']}"
    with conn.transaction(force_rollback=True):
        conn.execute("SET LOCAL client_min_messages = error")
        conn.execute(CONNINFO, [conninfo.make_conninfo(**publisher)])
        try:
            with conn.transaction():
                conn.execute(SUBSCRIBE)
        except psycopg.Error as exc:
            if exc.sqlstate is None:
                raise
            return Attempt(address, exc.sqlstate, _words(exc))
    return Attempt(address, None, "")


def _words(exc: psycopg.Error) -> str:
    return " ".join((exc.diag.message_primary or str(exc)).split())
