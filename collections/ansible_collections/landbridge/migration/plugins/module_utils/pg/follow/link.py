# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A link: one direction of logical replication between two databases, from publisher to subscriber.

Everything of a link has one name, made from who the two databases are: who looks at either side
sees what is ours, and a run that finds it knows what it is for. An epoch is one snapshot with its
slot; tables that were not copied when a snapshot was lost follow in a later epoch, beside the
earlier ones.

The publication comes before the slot: a slot made first fails for ever, since it looks at the
catalog of its own time, where the publication does not exist. The publisher's part is therefore
committed before the slot is made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Timer
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import DeadlineError, PostgresError, PreconditionError
from ...waiting import Deadline
from ..connection import connect
from ..text import ident, literal, qualified

try:
    import psycopg
    from psycopg import conninfo
except ImportError:
    pass  # reported by connection.connect()

if TYPE_CHECKING:
    from psycopg import Connection

SCHEMA = "landbridge"

# The form of every name; observed.py looks for it. Slots allow nothing but [a-z0-9_].
NAMED = r"^landbridge_([0-9a-f]{12})_([1-9][0-9]*)$"

IDENTIFY = """\
SELECT CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE')
            THEN (SELECT system_identifier::text FROM pg_control_system()) END,
       oid::bigint, datname
  FROM pg_database
 WHERE datname = current_database()"""

# One row at a time, and always a new one: an UPDATE would be left out where its row is missing.
CANARY = """\
CREATE SCHEMA IF NOT EXISTS landbridge;
CREATE TABLE IF NOT EXISTS landbridge.{canary} (
    token uuid PRIMARY KEY,
    payload jsonb NOT NULL,
    sung timestamptz NOT NULL DEFAULT clock_timestamp())"""

PUBLISH = "CREATE PUBLICATION {name} FOR TABLE ONLY {tables}"
PUBLISHED = "SELECT 1 FROM pg_publication WHERE pubname = %s"

RESERVE = "SELECT lsn::text FROM pg_create_logical_replication_slot(%s, 'pgoutput')"

# The statement with the password in it is never one that the server's log shows: it is no
# statement of its own, and what goes wrong in it is said anew.
SUBSCRIBE = """\
DO $$
BEGIN
  EXECUTE format('CREATE SUBSCRIPTION {name} CONNECTION %L PUBLICATION {name} WITH ({options})',
                 current_setting('landbridge.conninfo'));
EXCEPTION WHEN OTHERS THEN
  RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM;
END $$"""
CONNINFO = "SELECT set_config('landbridge.conninfo', %s, false)"

# Without a slot of its own a subscription is dropped without asking its publisher.
UNSUBSCRIBE = """\
ALTER SUBSCRIPTION {name} DISABLE;
ALTER SUBSCRIPTION {name} SET (slot_name = NONE);
DROP SUBSCRIPTION {name}"""
SUBSCRIBED = """\
SELECT 1
  FROM pg_subscription JOIN pg_database ON pg_database.oid = subdbid
 WHERE subname = %s AND datname = current_database()"""

DROP_SLOT = """\
DO $$
DECLARE
  give_up CONSTANT timestamptz := clock_timestamp() + interval '{seconds} s';
BEGIN
  WHILE EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = {slot}) LOOP
    BEGIN
      PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots
        WHERE slot_name = {slot} AND active;
      PERFORM pg_drop_replication_slot({slot});
    EXCEPTION WHEN object_in_use OR undefined_object THEN
      IF clock_timestamp() > give_up THEN RAISE; END IF;
      PERFORM pg_sleep(0.01);
    END;
  END LOOP;
END $$"""
DROP_SLOT_S = 30

UNPUBLISH = """\
DROP PUBLICATION IF EXISTS {name};
DROP TABLE IF EXISTS landbridge.{canary}"""
FORGET_CANARY = "DROP TABLE IF EXISTS landbridge.{canary}"

# psycopg.errors by the class of SQLSTATE: 08, the subscriber could not connect.
CONNECTION_EXCEPTION = "08"


class Slot(NamedTuple):
    """A new slot: its exported snapshot, and the position from which it sends."""

    snapshot: str
    consistent_point: str


@dataclass(frozen=True, slots=True)
class Link:
    """The names of one direction's objects in one epoch.

    :param digest: of who the two databases are, and which is the publisher.

    >>> link = between(identify(source), identify(target))
    >>> link.slot, link.canary
    ('landbridge_3f2a9c01b7d4_1', 'canary_3f2a9c01b7d4_1')
    """

    digest: str
    epoch: int = 1

    @property
    def name(self) -> str:
        return f"landbridge_{self.digest}_{self.epoch}"

    # One name for all: each stands in a catalog of its own.
    publication = slot = subscription = role = name

    @property
    def canary(self) -> str:
        """The table, in the schema landbridge of both databases, that the barrier is told by."""
        return f"canary_{self.digest}_{self.epoch}"

    def next(self) -> Link:
        return replace(self, epoch=self.epoch + 1)


def parse(name: str) -> Link | None:
    """Return the link that an object belongs to, or None if it is none of ours."""
    found = re.match(NAMED, name)
    return Link(found[1], int(found[2])) if found else None


def identify(conn: Connection) -> str:
    """Return who a database is: its server's identifier, where it tells it, and its own."""
    row = conn.execute(IDENTIFY).fetchone()
    if row is None:
        raise PreconditionError("the connection's database is gone")
    system_identifier, oid, datname = row
    # A database may get another name; its server's identifier stays.
    return f"{system_identifier}/{oid}" if system_identifier else f"{oid}/{datname}"


def between(publisher: str, subscriber: str, epoch: int = 1) -> Link:
    """Return the link from one database to another, each as ``identify`` tells it."""
    digest = hashlib.sha256(f"{publisher} > {subscriber}".encode()).hexdigest()
    return Link(digest[:12], epoch)


def publish(conn: Connection, link: Link, tables: Sequence[tuple[str, str]]) -> None:
    """Make the publication of ``tables`` and the canary on the publisher; run again, do nothing.

    :param tables: schema and name of each; a partitioned table stands for its partitions.
    """
    if conn.execute(PUBLISHED, [link.publication]).fetchone():
        return
    listed = [qualified(*each) for each in [*tables, (SCHEMA, link.canary)]]
    statement = PUBLISH.format(name=ident(link.publication), tables=", ONLY ".join(listed))
    with conn.transaction():
        conn.execute(f"{CANARY.format(canary=link.canary)}; {statement}".encode())


@contextmanager
def make_slot(
    side: str, server: Mapping[str, Any], link: Link, deadline: Deadline
) -> Iterator[Slot]:
    """Make the slot and hold its exported snapshot for as long as the block runs.

    The slot stays after the block. Raise DeadlineError if transactions that were open when it was
    asked for do not end in time: a slot begins where none is left.
    """
    with connect(side, {**server, "replication": "database"}, pinned=False) as conn:
        statement = f"CREATE_REPLICATION_SLOT {link.slot} LOGICAL pgoutput (SNAPSHOT 'export')"
        if conn.info.server_version < 150000:
            statement = f"CREATE_REPLICATION_SLOT {link.slot} LOGICAL pgoutput EXPORT_SNAPSHOT"
        with _cancelled_after(conn, side, deadline):
            row = conn.execute(statement.encode()).fetchone()
        if row is None:
            raise PostgresError(f"{side}: the server made no slot")
        _name, consistent_point, snapshot, _plugin = row
        yield Slot(str(snapshot), str(consistent_point))


@contextmanager
def _cancelled_after(conn: Connection, side: str, deadline: Deadline) -> Iterator[None]:
    timer = Timer(deadline.left_s, conn.cancel_safe)
    timer.start()
    try:
        yield
    except psycopg.errors.QueryCanceled as exc:
        raise DeadlineError(
            f"{side}: no slot within {deadline.timeout_s:g} s: a transaction is still open that"
            " was when it was asked for",
            retryable=True,
            hint="End the long transactions that pg_stat_activity shows, then run again.",
        ) from exc
    finally:
        timer.cancel()


def reserve(conn: Connection, link: Link) -> str:
    """Make the slot without a snapshot, from now on; return its position."""
    row = conn.execute(RESERVE, [link.slot]).fetchone()
    return str(row[0]) if row else ""


def subscribe(
    side: str,
    conn: Connection,
    link: Link,
    publisher: Mapping[str, Any],
    *,
    run_as_owner: bool,
    enabled: bool = True,
) -> None:
    """Make the canary's table and the subscription on the subscriber.

    :param publisher: how the subscriber's server reaches the publisher: libpq's keywords, with
        the password, which is nowhere but in the subscription.
    :param run_as_owner: write as the subscription's owner, not as each table's.
    :param enabled: whether changes come from now on; the publisher is reached either way.

    Raise PreconditionError, naming the address, if the server does not reach it.
    """
    conn.execute(CANARY.format(canary=link.canary).encode())
    options = _options(link, conn.info.server_version, run_as_owner=run_as_owner)
    options += f", enabled = {str(enabled).lower()}"
    statement = SUBSCRIBE.format(name=ident(link.subscription), options=options)
    try:
        conn.execute(CONNINFO, [conninfo.make_conninfo(**publisher)])
        conn.execute(statement.encode())
    except psycopg.Error as exc:
        if not (exc.sqlstate or "").startswith(CONNECTION_EXCEPTION):
            raise
        raise _unreached(side, publisher, exc) from exc
    finally:
        if not conn.broken:
            conn.execute(CONNINFO, [""])


def _options(link: Link, server_version: int, *, run_as_owner: bool) -> str:
    options = {
        "create_slot": "false",
        "slot_name": literal(link.slot).replace("'", "''"),  # within format()'s literal
        "copy_data": "false",
        "streaming": "true",  # a large transaction comes as it is made, not when it ends
    }
    if server_version >= 150000:
        options["disable_on_error"] = "true"
    if server_version >= 160000:
        options |= {"origin": "none", "run_as_owner": str(run_as_owner).lower()}
    if server_version < 140000:
        del options["streaming"]
    return ", ".join(f"{name} = {value}" for name, value in options.items())


def _unreached(side: str, publisher: Mapping[str, Any], exc: psycopg.Error) -> PreconditionError:
    message = " ".join((exc.diag.message_primary or str(exc)).split())
    return PreconditionError(
        f"{side}: its server does not reach {publisher['host']}, port {publisher['port']}, as"
        f" {publisher['user']} with sslmode {publisher['sslmode']}: {message}",
        hint="Let that server in at the other's firewall, and name in addresses the host, sslmode"
        " and sslrootcert that hold there: a certificate's file must be on that server's host.",
        sqlstate=exc.sqlstate,
    )


def enable(conn: Connection, link: Link) -> None:
    """Let the subscription's changes come."""
    conn.execute(f"ALTER SUBSCRIPTION {ident(link.subscription)} ENABLE".encode())


def disable(conn: Connection, link: Link) -> None:
    """Stop the subscription; its slot keeps what comes meanwhile."""
    conn.execute(f"ALTER SUBSCRIPTION {ident(link.subscription)} DISABLE".encode())


def unsubscribe(conn: Connection, link: Link) -> None:
    """Drop what the subscriber has of the link, be there much or little."""
    if conn.execute(SUBSCRIBED, [link.subscription]).fetchone():
        conn.execute(UNSUBSCRIBE.format(name=ident(link.subscription)).encode())
    conn.execute(FORGET_CANARY.format(canary=link.canary).encode())


def unpublish(conn: Connection, link: Link) -> None:
    """Drop what the publisher has of the link, be there much or little; its role excepted."""
    slot = DROP_SLOT.format(slot=literal(link.slot), seconds=DROP_SLOT_S)
    conn.execute(slot.encode())
    unpublish = UNPUBLISH.format(name=ident(link.publication), canary=link.canary)
    conn.execute(unpublish.encode())
