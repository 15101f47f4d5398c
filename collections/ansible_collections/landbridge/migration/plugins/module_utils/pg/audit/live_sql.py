# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Queries that matter in live mode only: objects that cannot be followed, and a server's room.

``{generated}`` and ``{key_columns}`` are columns that not every major has.
"""

from __future__ import annotations

# Types for which the server's apply finds no equality (tuples_equal() in execReplication.c asks
# lookup_type_cache() for the default btree or hash class), and what is built of them.
#
# What tells rows apart: RelationGetReplicaIndex() takes no index that is partial, deferrable, on
# expressions or on columns that may be NULL. An update of a table without identity fails on the
# source itself.
IDENTITY = """\
WITH RECURSIVE built AS (
    SELECT typbasetype AS part, oid AS whole FROM pg_type WHERE typtype = 'd'
    UNION ALL SELECT oid, typarray FROM pg_type WHERE typarray <> 0
    UNION ALL
    SELECT a.atttypid, c.reltype FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.reltype <> 0 AND a.attnum > 0 AND NOT a.attisdropped),
unequal AS (
    SELECT t.oid FROM pg_type t
     WHERE t.typtype = 'b' AND NOT (t.typlen = -1 AND t.typelem <> 0)
       AND NOT EXISTS (
           SELECT FROM pg_opclass o JOIN pg_am m ON m.oid = o.opcmethod
            WHERE o.opcdefault AND m.amname IN ('btree', 'hash')
              AND (o.opcintype = t.oid OR EXISTS (
                  SELECT FROM pg_cast k WHERE k.castsource = t.oid AND k.casttarget = o.opcintype
                     AND k.castmethod = 'b' AND k.castcontext = 'i')))
    UNION
    SELECT whole FROM unequal JOIN built ON part = oid),
keys AS (
    SELECT i.indexrelid, i.indrelid, i.indisprimary, i.indisreplident,
           bool_and(a.attnotnull) AS fit, bool_or({generated} <> '') AS generated
      FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY k(attnum, n)
      JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
     WHERE n <= {key_columns} AND i.indisunique AND i.indimmediate AND i.indisvalid
       AND i.indpred IS NULL AND i.indexprs IS NULL
     GROUP BY 1, 2, 3, 4),
told AS (
    SELECT indrelid,
           bool_or(indisprimary) AS primary_key,
           bool_or(indisprimary AND generated) AS generated_primary,
           bool_or(indisreplident AND generated) AS generated_chosen,
           bool_or(NOT generated) AS indexed
      FROM keys WHERE fit GROUP BY 1),
columns AS (
    SELECT a.attrelid,
           bool_or(u.oid IS NOT NULL AND {generated} = '') AS unequal,
           bool_or({generated} = 's')
               AND current_setting('server_version_num')::int >= 180000 AS unsent
      FROM pg_attribute a LEFT JOIN unequal u ON u.oid = a.atttypid
     WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY 1),
followed AS (
    SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relreplident, t.*, k.*
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN told t ON t.indrelid = c.oid LEFT JOIN columns k ON k.attrelid = c.oid
     WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND {user_schema} AND {own:pg_class c.oid}),
judged AS (
    SELECT name, CASE
           WHEN relreplident = 'i' THEN CASE WHEN generated_chosen THEN 'generated_identity' END
           WHEN relreplident = 'f' AND primary_key
               THEN CASE WHEN unsent THEN 'unsent_identity' END
           WHEN relreplident = 'd' AND primary_key AND NOT generated_primary THEN NULL
           WHEN relreplident <> 'f' AND indexed THEN 'identity_by_index'
           WHEN generated_primary THEN 'generated_identity'
           WHEN unequal THEN 'no_identity_type'
           WHEN unsent THEN 'unsent_identity'
           ELSE 'no_identity' END AS code
      FROM followed)
SELECT code, name FROM judged WHERE code IS NOT NULL"""

NOT_OWNED = """\
SELECT 'not_owned', format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND {user_schema}
   AND {own:pg_class c.oid} AND NOT pg_has_role(c.relowner, 'USAGE')"""

NOT_FOLLOWED = """\
SELECT 'unlogged_not_followed', format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence = 'u' AND c.relkind = 'r' AND {user_schema}
UNION ALL
SELECT 'large_objects_not_followed', count(*)::text FROM pg_largeobject_metadata
HAVING count(*) > 0
UNION ALL
SELECT 'extension_rows', format('%I.%I', n.nspname, c.relname)
  FROM pg_extension x CROSS JOIN unnest(x.extconfig) t(oid)
  JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND pg_relation_size(c.oid) > 0
UNION ALL
SELECT 'matview_not_followed', format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'm' AND c.relispopulated AND {user_schema} AND {own:pg_class c.oid}"""

# Apply runs as a replica and fires row triggers that are ENABLE ALWAYS or REPLICA; rules and
# statement triggers never.
FIRES = """\
SELECT 'trigger_fires', format('%I on %I.%I', g.tgname, n.nspname, c.relname)
  FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT g.tgisinternal AND g.tgenabled IN ('A', 'R') AND g.tgtype & 1 = 1
   AND {user_schema} AND {own:pg_class c.oid}"""

# A slot is made when every transaction that ran when it was asked for has ended, in any database.
DELAYING = """\
SELECT 'prepared_elsewhere', format('%s in database %s', gid, database) FROM pg_prepared_xacts
 WHERE database <> current_database()
UNION ALL
SELECT 'long_transaction', format('process %s of %s in database %s', pid, usename, datname)
  FROM pg_stat_activity
 WHERE backend_xid IS NOT NULL AND xact_start < clock_timestamp() - interval '1 minute'
   AND application_name NOT LIKE 'landbridge%'"""

# seqcycle wraps on purpose. A range's share, from where the values began.
NEAR_END = """\
SELECT 'sequence_near_end', format('%I.%I', schemaname, sequencename)
  FROM pg_sequences n
 WHERE NOT cycle AND last_value IS NOT NULL AND schemaname <> 'landbridge'
   AND CASE WHEN increment_by > 0
            THEN (last_value::numeric - min_value) / nullif(max_value::numeric - min_value, 0)
            ELSE (max_value::numeric - last_value) / nullif(max_value::numeric - min_value, 0)
       END > 0.9"""

LIVE = (IDENTITY, NOT_OWNED, NOT_FOLLOWED, FIRES, DELAYING, NEAR_END)

# One row: what a server has of everything that a follower takes, in the columns of live_facts.Room.
ROOM = """\
SELECT current_setting('wal_level'),
       current_setting('max_replication_slots')::int,
       (SELECT count(*) FROM pg_replication_slots WHERE slot_name NOT LIKE 'landbridge\\_%'),
       current_setting('max_wal_senders')::int,
       (SELECT count(*) FROM pg_stat_get_wal_senders() w JOIN pg_stat_activity a USING (pid)
         WHERE a.application_name NOT LIKE 'landbridge%'),
       coalesce(current_setting('max_active_replication_origins', true),
                current_setting('max_replication_slots'))::int,
       (SELECT count(*) FROM pg_subscription WHERE subname NOT LIKE 'landbridge\\_%'),
       current_setting('max_logical_replication_workers')::int,
       current_setting('max_worker_processes')::int,
       (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user)
           OR EXISTS (SELECT FROM pg_roles WHERE rolname IN ('rds_replication', 'rds_superuser')
                         AND pg_has_role(oid, 'MEMBER')),
       has_database_privilege(current_database(), 'CREATE'),
       (SELECT pg_size_bytes(setting || coalesce(nullif(unit, '8kB'), ''))
          FROM pg_settings WHERE name = 'max_slot_wal_keep_size' AND setting <> '-1'),
       (SELECT setting::bigint FROM pg_settings WHERE name = 'idle_replication_slot_timeout'),
       (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()),
       (SELECT datname::text FROM pg_database
         WHERE datallowconn AND has_database_privilege(oid, 'CREATE')
           AND has_database_privilege(oid, 'CONNECT')
         ORDER BY datname <> current_database(), datname <> 'landbridge', datname LIMIT 1),
       ARRAY(SELECT 'publication ' || pubname FROM pg_publication
              WHERE pubname LIKE 'landbridge\\_%' AND NOT pg_has_role(pubowner, 'USAGE')
             UNION ALL
             SELECT 'subscription ' || subname FROM pg_subscription
              WHERE subname LIKE 'landbridge\\_%' AND NOT pg_has_role(subowner, 'USAGE')
                AND subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
             UNION ALL
             SELECT 'slot ' || slot_name FROM pg_replication_slots
              WHERE slot_name LIKE 'landbridge\\_%'
                AND (database, plugin) IS DISTINCT FROM (current_database(), 'pgoutput'))"""
