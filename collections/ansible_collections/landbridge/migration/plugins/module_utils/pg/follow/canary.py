# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The canary: a row written on the publisher last, and waited for on the subscriber.

Changes are applied in the order of their commits: when the subscriber shows the row, it has all
that was committed before. The slot's confirmed_flush_lsn tells the same, hundreds of milliseconds
later, since the subscriber reports it when it sees fit. The wait is a loop on the subscriber's
server: however far away that is, it costs one round trip.

The row can carry what replication does not, such as the positions of sequences.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from ...errors import DeadlineError
from ...waiting import Deadline
from ..text import literal
from .link import Link

try:
    import psycopg
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

BEAT = """\
DELETE FROM landbridge.{canary};
INSERT INTO landbridge.{canary} (token, payload) VALUES ({token}, {payload})"""

# The condition is looked at a thousand times a second: much finer than a network's round trip.
WAIT = """\
DO $$
DECLARE
  give_up CONSTANT timestamptz := clock_timestamp() + interval '{milliseconds} ms';
BEGIN
  WHILE NOT EXISTS (SELECT FROM landbridge.{canary} WHERE token = {token}) LOOP
    IF clock_timestamp() > give_up THEN
      RAISE EXCEPTION USING ERRCODE = '{late}', MESSAGE = 'the canary {canary} did not come';
    END IF;
    PERFORM pg_sleep(0.001);
  END LOOP;
END $$"""

# A class of our own: 5 and above are free (SQL standard, subclause 23.1).
LATE = "LB001"


def new_token() -> str:
    """Return a token that no other run has."""
    return str(uuid.uuid4())


def beat_statement(link: Link, token: str, payload: str = "'{}'::jsonb") -> str:
    """Return what writes the row on the publisher; ``payload`` is an expression."""
    return BEAT.format(canary=link.canary, token=_uuid(token), payload=payload)


def wait_statement(link: Link, token: str, timeout_s: float) -> str:
    """Return what waits for the row on the subscriber; it raises SQLSTATE ``LATE``."""
    return WAIT.format(
        canary=link.canary, token=_uuid(token), milliseconds=int(timeout_s * 1000), late=LATE
    )


def _uuid(token: str) -> str:
    return f"{literal(str(uuid.UUID(token)))}::uuid"


def beat(conn: Connection, link: Link) -> str:
    """Write the row on the publisher; return the token that tells it."""
    token = new_token()
    conn.execute(beat_statement(link, token).encode())
    return token


def wait_arrived(conn: Connection, link: Link, token: str, deadline: Deadline) -> None:
    """Return when the subscriber shows the row. Raise DeadlineError if it does not in time."""
    try:
        conn.execute(wait_statement(link, token, deadline.left_s).encode())
    except psycopg.Error as exc:
        if exc.sqlstate != LATE:
            raise
        raise late(deadline.timeout_s) from exc


def late(timeout_s: float) -> DeadlineError:
    """Return the error of a canary that did not come."""
    return DeadlineError(
        f"the target did not show the source's last write within {timeout_s:g} s",
        retryable=True,
        hint="Look at the lag and at the subscription's errors, then run again.",
    )
