# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said to the two servers while applications wait: one script each, prepared before.

The giver fences itself, ends every session, and sings the canary, which carries the positions of
its sequences; at the same time the taker waits for the canary and sets its sequences. So the stall
has as few round trips as it can: the values travel by the replication that is waited for anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ..follow import canary
from ..follow.link import Link
from ..sequences import Name
from ..text import array_literal, ident, literal, qualified

# SQLSTATEs of our own, beside canary.LATE.
NOT_EXPELLED = "LB002"
PASSAGE = "LB003"
PREPARED = "LB004"

POSITIONS = "landbridge_positions"
SING = "landbridge_sing"

# CONNECT is looked at while a session starts, under a lock on the database that lasts until it is
# seen in pg_stat_activity (InitPostgres in postinit.c). So whoever holds that lock as the fence
# has just come to stand may still be let in, and is waited for; whoever comes later is not.
EXPEL = """\
DO $$
DECLARE
  give_up CONSTANT timestamptz := clock_timestamp() + interval '{milliseconds} ms';
  kept CONSTANT text[] := {kept};
  starting CONSTANT int[] := ARRAY(
    SELECT pid FROM pg_locks
     WHERE locktype = 'object' AND classid = 'pg_database'::regclass
       AND objid = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND pid <> pg_backend_pid());
  ended int[] := '{{}}';
  found int[];
  is_starting boolean;
  said text;
BEGIN
  SELECT string_agg(rolname, ', ') INTO said FROM pg_roles
   WHERE rolcanlogin AND NOT rolsuper AND rolname <> ALL (kept)
     AND has_database_privilege(oid, current_database(), 'CONNECT');
  IF said IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '{passage}', MESSAGE = said;
  END IF;
  LOOP
    is_starting := EXISTS (
      SELECT FROM pg_locks
       WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND pid = ANY (starting)
         AND objid = (SELECT oid FROM pg_database WHERE datname = current_database()));
    PERFORM pg_stat_clear_snapshot();
    found := ARRAY(
      SELECT pid FROM pg_stat_activity
       WHERE datname = current_database() AND usename <> ALL (kept)
         AND backend_type IN ('client backend', 'walsender'));
    EXIT WHEN found = '{{}}' AND NOT is_starting;
    ended := ended || found;
    IF clock_timestamp() > give_up THEN
      SELECT string_agg(format('pid %s (%s, %s)', pid, usename,
                               coalesce(nullif(application_name, ''), 'no application_name')), ', ')
        INTO said FROM pg_stat_activity WHERE pid = ANY (found);
      RAISE EXCEPTION USING ERRCODE = '{not_expelled}', MESSAGE = coalesce(said, 'one starting');
    END IF;
    PERFORM pg_terminate_backend(pid) FROM unnest(found) AS pid;
    PERFORM pg_sleep(0.001);
  END LOOP;
  SELECT string_agg(gid, ', ') INTO said FROM pg_prepared_xacts
   WHERE database = current_database();
  IF said IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = '{prepared}', MESSAGE = said;
  END IF;
  PERFORM set_config('landbridge.expelled',
                     (SELECT count(DISTINCT pid)::text FROM unnest(ended) AS pid), false);
END $$"""

EXPELLED = "SELECT current_setting('landbridge.expelled')::int, pg_current_wal_insert_lsn()::text"

# Parsed and planned before anyone waits: a thousand sequences take a second to plan.
PREPARE_SING = """\
PREPARE {sing} (uuid) AS
INSERT INTO landbridge.{canary} (token, payload)
SELECT $1, coalesce(jsonb_agg(jsonb_build_array(nsp, rel, last_value, is_called)), '[]')
  FROM ({positions}) AS position"""
PREPARE_POSITIONS = (
    "PREPARE {name} AS SELECT nsp, rel, last_value, is_called FROM ({positions}) AS p"
)
GENERIC = "SET plan_cache_mode = force_generic_plan"
GENERIC_SINCE = 120000

SING_AGAIN = "DELETE FROM landbridge.{canary}; EXECUTE {sing} ({token})"

SET_SEQUENCES = """\
SELECT count(setval(format('%I.%I', each->>0, each->>1)::regclass,
                    (each->>2)::bigint, (each->>3)::boolean))
  FROM landbridge.{canary}, jsonb_array_elements(payload) AS each
 WHERE token = {token}"""
PAYLOAD = "SELECT payload FROM landbridge.{canary} WHERE token = {token}"

# The slot's own changes: what came by the link that is given up is no news to its publisher.
ADVANCE = "SELECT pg_replication_slot_advance({slot}, pg_current_wal_flush_lsn())"


def positions(names: Sequence[Name]) -> str:
    """Return a query for the position of each sequence."""
    each = [
        f"SELECT {literal(name.nspname)}::text AS nsp, {literal(name.relname)}::text AS rel,"  # noqa: S608
        f" last_value, is_called FROM {qualified(*name)}"
        for name in names
    ]
    none = "SELECT ''::text AS nsp, ''::text AS rel, 0::bigint AS last_value, false AS is_called"
    return " UNION ALL ".join(each) or f"{none} LIMIT 0"


def ready_giver(links: Sequence[Link], names: Sequence[Name], server_version: int) -> str:
    """Return what the giver's session is told before the stall."""
    prepared = PREPARE_SING.format(sing=SING, canary=links[0].canary, positions=positions(names))
    return "; ".join([*_generic(server_version), f"DEALLOCATE ALL; {prepared}"])


def ready_taker(names: Sequence[Name], server_version: int) -> str:
    """Return what the taker's session is told before the stall."""
    prepared = PREPARE_POSITIONS.format(name=POSITIONS, positions=positions(names))
    return "; ".join([*_generic(server_version), f"DEALLOCATE ALL; {prepared}"])


def _generic(server_version: int) -> list[str]:
    return [GENERIC] if server_version >= GENERIC_SINCE else []


def sing(links: Sequence[Link], token: str) -> str:
    """Return what writes every epoch's canary, the sequences' positions in the first."""
    first, *others = links
    again = SING_AGAIN.format(canary=first.canary, sing=SING, token=literal(token))
    return "; ".join([again, *(canary.beat_statement(each, token) for each in others)])


def leave(
    fence: str, kept: Collection[str], links: Sequence[Link], token: str, limit_s: float
) -> str:
    """Return what the giver does: fence, expel, sing. Its rows: expelled and position.

    :param fence: the statements that take privileges away and keep the record; empty if the
        fence stands.
    """
    return ";\n".join([fenced(fence, kept, limit_s), sing(links, token), EXPELLED])


def fenced(fence: str, kept: Collection[str], limit_s: float) -> str:
    """Return what puts up the fence and ends the sessions behind it."""
    put_up = f"BEGIN; {fence}; COMMIT;\n" if fence else ""
    return put_up + expel(kept, limit_s)


def expel(kept: Collection[str], limit_s: float) -> str:
    """Return what ends every session but those of ``kept`` and waits until none is left."""
    return EXPEL.format(
        milliseconds=int(limit_s * 1000),
        kept=array_literal(sorted(kept)),
        passage=PASSAGE,
        not_expelled=NOT_EXPELLED,
        prepared=PREPARED,
    )


def arrive(links: Sequence[Link], token: str, limit_s: float) -> str:
    """Return what the taker does: wait for each canary, set sequences.

    Its rows: how many were set, the positions that came, the positions that are.
    """
    named = {"canary": links[0].canary, "token": f"{literal(token)}::uuid"}
    return ";\n".join(
        [
            *(canary.wait_statement(each, token, limit_s) for each in links),
            SET_SEQUENCES.format(**named),
            PAYLOAD.format(**named),
            f"EXECUTE {POSITIONS}",
        ]
    )


def advance(slot: str) -> str:
    return ADVANCE.format(slot=literal(slot))


def take_over(links: Iterable[Link], opening: str) -> str:
    """Return the one transaction that decides: following stops as the taker opens."""
    stops = [f"ALTER SUBSCRIPTION {ident(each.subscription)} DISABLE" for each in links]
    return "; ".join([*stops, opening])
