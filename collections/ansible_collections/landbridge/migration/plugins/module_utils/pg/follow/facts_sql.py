# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Queries of what is watched while a database is followed, each with the name of its fact.

All of a side are one message to its server. ``{named}`` is the pattern of the link's objects, as a
literal; whole rows of views are taken as JSON where their columns differ between majors.
"""

from __future__ import annotations

from ..audit.live_sql import DELAYING, NEAR_END

# Rights differ: without pg_monitor the columns of other roles' sessions are empty, never an error.
PUBLISHER = {
    "moment": """\
SELECT extract(epoch FROM clock_timestamp())::float8, pg_current_wal_lsn()::text,
       pg_database_size(current_database()),
       (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()),
       (SELECT pg_size_bytes(setting || coalesce(nullif(unit, '8kB'), ''))
          FROM pg_settings WHERE name = 'max_slot_wal_keep_size' AND setting <> '-1')""",
    "slots": """\
SELECT to_jsonb(s) || jsonb_build_object(
         'retained_bytes', pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn),
         'applied_lsn', greatest(confirmed_flush_lsn, w.replay_lsn))
  FROM pg_replication_slots s LEFT JOIN pg_stat_replication w ON w.pid = s.active_pid
 WHERE slot_name ~ {named} AND database = current_database()""",
    "publications": """\
SELECT pubname::text, pubinsert AND pubupdate AND pubdelete, pubtruncate
  FROM pg_publication WHERE pubname ~ {named}""",
    "published": """\
SELECT pubname::text, format('%I.%I', schemaname, tablename) FROM pg_publication_tables
 WHERE pubname ~ {named} AND schemaname <> 'landbridge'""",
    "unpublished": """\
WITH RECURSIVE listed AS (
    SELECT DISTINCT schemaname, tablename FROM pg_publication_tables WHERE pubname ~ {named}),
covered AS (
    SELECT c.oid FROM listed JOIN pg_namespace n ON n.nspname = schemaname
      JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = tablename
    UNION
    SELECT inhrelid FROM covered JOIN pg_class p ON p.oid = covered.oid AND p.relkind = 'p'
      JOIN pg_inherits ON inhparent = p.oid)
SELECT format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND {user_schema} AND {own:pg_class c.oid}
   AND c.oid NOT IN (SELECT oid FROM covered)""",
    "delaying": DELAYING.replace("interval '1 minute'", "interval '{long_s} s'")
    + """
UNION ALL
SELECT 'prepared_here', gid FROM pg_prepared_xacts WHERE database = current_database()""",
    "near_end": NEAR_END,
    # What a session has beside its transactions stays behind with it. Which channels others listen
    # to is told nowhere: the last statement of an idle session is all that shows it.
    "sessions": """\
SELECT 'listen', format('%s (%s)', usename, coalesce(nullif(application_name, ''), pid::text))
  FROM pg_stat_activity
 WHERE datname = current_database() AND query ~* '^\\s*listen\\s'
   AND application_name NOT LIKE 'landbridge%'
UNION ALL
SELECT 'advisory_lock', format('%s (%s)', coalesce(usename, 'process'),
                               coalesce(nullif(application_name, ''), l.pid::text))
  FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE locktype = 'advisory' AND l.database = (SELECT oid FROM pg_database
                                                WHERE datname = current_database())
   AND coalesce(a.application_name, '') NOT LIKE 'landbridge%'
UNION ALL
SELECT 'temporary_table', format('%I of %s', relname, pg_get_userbyid(relowner))
  FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'""",
}

SUBSCRIBER = {
    "subscriptions": """\
SELECT s.subname::text, s.subenabled, w.pid, s.subslotname::text,
       coalesce({errors}, 0),
       (SELECT array_agg(format('%s of %s', b.pid, coalesce(b.usename, 'nobody')))
          FROM unnest(pg_blocking_pids(w.pid)) k(pid) JOIN pg_stat_activity b USING (pid))
  FROM pg_subscription s
  LEFT JOIN pg_stat_subscription w ON w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL
 WHERE s.subname ~ {named}
   AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())""",
    "subscribed": """\
SELECT s.subname::text, format('%I.%I', n.nspname, c.relname)
  FROM pg_subscription s JOIN pg_subscription_rel r ON r.srsubid = s.oid
  JOIN pg_class c ON c.oid = r.srrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE s.subname ~ {named} AND n.nspname <> 'landbridge'
   AND s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())""",
}

# The view of errors came with 15; what a server of before counts is in its log alone.
ERRORS = """(SELECT apply_error_count + sync_error_count FROM pg_stat_subscription_stats e
                 WHERE e.subid = s.oid)"""
ERRORS_SINCE = 150000
