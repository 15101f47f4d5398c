# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit's queries: the server's facts, and the objects that need a word."""

from __future__ import annotations

from ..catalog.catalog_sql import MACROS
from .live_sql import LIVE

SERVER = """\
SELECT d.oid::int8, d.datname::text, pg_encoding_to_char(d.encoding)::text, d.datcollate::text,
       d.datctype::text, pg_get_userbyid(d.datdba)::text, pg_has_role(d.datdba, 'USAGE'),
       r.rolname::text, r.rolsuper, r.rolcreaterole,
       r.rolsuper OR pg_has_role('pg_signal_backend', 'USAGE'),
       has_database_privilege(d.datname, 'CREATE'),
       pg_database_size(d.oid), current_setting('wal_level'), pg_postmaster_start_time()::text
  FROM pg_database d JOIN pg_roles r ON r.rolname = current_user
 WHERE d.datname = current_database()"""

PREPARED = """\
SELECT 'prepared_transaction', gid FROM pg_prepared_xacts WHERE database = current_database()"""

UNREADABLE = """\
SELECT 'unreadable', format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm', 'S') AND c.relpersistence <> 't' AND {user_schema}
   AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))"""

# row_security is off in our sessions: a policy that would hide rows is an error instead.
ROW_SECURITY = """\
SELECT 'row_security', format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relrowsecurity AND {user_schema}
   AND (c.relforcerowsecurity OR NOT pg_has_role(c.relowner, 'USAGE'))
   AND NOT (SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user)"""

LARGE_OBJECTS = """\
SELECT 'unreadable_large_objects', count(*)::text FROM pg_largeobject_metadata
 WHERE NOT pg_has_role(lomowner, 'USAGE') AND NOT EXISTS (
       SELECT FROM aclexplode(lomacl) a WHERE a.privilege_type = 'SELECT'
          AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))
HAVING count(*) > 0"""

# CREATE of these is a superuser's, on every major. Aggregates are anyone's, and what makes
# a range comes with its type.
SUPERUSERS_OBJECTS = """\
SELECT 'needs_superuser', format('function %I.%I', n.nspname, p.proname)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
 WHERE NOT l.lanpltrusted AND l.lanname <> 'sql' AND {user_schema} AND {own:pg_proc p.oid}
   AND NOT EXISTS (SELECT FROM pg_aggregate a WHERE a.aggfnoid = p.oid)
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                      AND d.objid = p.oid AND d.deptype = 'i')
UNION ALL
SELECT 'needs_superuser', format('type %I.%I', n.nspname, t.typname)
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.typtype = 'b' AND {user_schema} AND {own:pg_type t.oid}
   AND NOT EXISTS (SELECT FROM pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid)
UNION ALL
SELECT 'needs_superuser', format('operator class %I.%I', n.nspname, o.opcname)
  FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace
 WHERE {user_schema} AND {own:pg_opclass o.oid}
UNION ALL
SELECT 'event_trigger', quote_ident(t.evtname) FROM pg_event_trigger t
 WHERE {own:pg_event_trigger t.oid}"""

LEFT_BEHIND = """\
SELECT 'publication', quote_ident(pubname) FROM pg_publication
UNION ALL
SELECT 'subscription', quote_ident(subname) FROM pg_subscription
 WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'logical_slot', slot_name::text FROM pg_replication_slots
 WHERE database = current_database() AND NOT temporary
UNION ALL
SELECT 'user_mapping', format('%s for %s', srvname, usename) FROM pg_user_mappings
UNION ALL
SELECT 'tablespace', format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.reltablespace <> 0 AND {user_schema}
UNION ALL
SELECT 'security_label', (pg_identify_object(classoid, objoid, objsubid)).identity
  FROM pg_seclabel
UNION ALL
SELECT 'reserved_schema', 'schema landbridge' FROM pg_namespace WHERE nspname = 'landbridge'"""

IMPERFECT = """\
SELECT 'invalid_index', format('%I.%I', n.nspname, c.relname)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND c.relkind = 'i' AND {user_schema}
UNION ALL
SELECT 'not_validated', format('%I on %s', k.conname, k.conrelid::regclass)
  FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
 WHERE NOT k.convalidated AND {user_schema}"""

UNLOGGED = """\
SELECT 'unlogged', format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence = 'u' AND c.relkind = 'r' AND {user_schema}"""

# Gone in Postgres 12, with WITH OIDS.
REMOVED = """\
SELECT 'removed_type', format('%I.%I.%I', n.nspname, c.relname, a.attname)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
 WHERE t.typname IN ('abstime', 'reltime', 'tinterval') AND NOT a.attisdropped
   AND c.relkind IN ('r', 'p', 'm') AND {user_schema}
UNION ALL
SELECT 'with_oids', format('%I.%I', n.nspname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relhasoids AND c.relkind IN ('r', 'p') AND {user_schema}"""
REMOVED_BEFORE = 120000

ALWAYS = (
    PREPARED, UNREADABLE, ROW_SECURITY, LARGE_OBJECTS, SUPERUSERS_OBJECTS, LEFT_BEHIND, IMPERFECT,
)  # fmt: skip


def server_query() -> str:
    return SERVER


def hazards_query(version: int, mode: str) -> str:
    """Return one query for all hazards of a source, for ``window`` or ``live`` mode."""
    queries = list(ALWAYS)
    if version < REMOVED_BEFORE:
        queries.append(REMOVED)
    queries += LIVE if mode == "live" else [UNLOGGED]
    words = {
        **MACROS,
        "generated": "a.attgenerated" if version >= 120000 else "''",
        "key_columns": "i.indnkeyatts" if version >= 110000 else "i.indnatts",
    }
    bracketed = (f"({query.format_map(words)})" for query in queries)
    return "\nUNION ALL\n".join(bracketed)
