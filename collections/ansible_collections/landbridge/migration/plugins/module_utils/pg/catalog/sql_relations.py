# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Queries for relations and what hangs on them; catalog_sql.py fills in the braces."""

from __future__ import annotations

SCHEMAS = """\
SELECT 'schema', ARRAY[n.nspname::text], json_strip_nulls(json_build_object(
       'owner', pg_get_userbyid(n.nspowner),
       'acl', {acl:coalesce(n.nspacl, acldefault('n', n.nspowner))}))
  FROM pg_namespace n
 WHERE {user_schema} AND {own:pg_namespace n.oid}"""

RELATIONS = """\
SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
            WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' ELSE 'table' END,
       ARRAY[n.nspname::text, c.relname::text], json_strip_nulls(json_build_object(
       'owner', pg_get_userbyid(c.relowner),
       'acl', {acl:coalesce(c.relacl,
              acldefault((CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char", c.relowner))},
       'persistence', nullif(c.relpersistence, 'p'),
       'options', {sorted:c.reloptions},
       'TOAST options', (SELECT {sorted:t.reloptions} FROM pg_class t
                          WHERE t.oid = c.reltoastrelid),
       'access method', {relation_am},
       'row security', nullif(c.relrowsecurity, false),
       'forced row security', nullif(c.relforcerowsecurity, false),
       'replica identity', CASE WHEN c.relkind IN ('r', 'p', 'm')
                                THEN nullif(c.relreplident, 'd') END,
       'partition key', CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END,
       'partition bound', pg_get_expr(c.relpartbound, c.oid),
       'parents', (SELECT json_agg(json_build_array(pn.nspname, p.relname) ORDER BY inhseqno)
                     FROM pg_inherits JOIN pg_class p ON p.oid = inhparent
                     JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE inhrelid = c.oid),
       'of type', nullif(c.reloftype, 0)::regtype,
       'definition', CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
       'unpopulated', nullif(NOT c.relispopulated, false),
       'sequence', CASE c.relkind WHEN 'S' THEN (
           SELECT json_build_array(seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax,
                                   seqcache, seqcycle)
             FROM pg_sequence WHERE seqrelid = c.oid) END,
       'owned by', CASE c.relkind WHEN 'S' THEN (
           SELECT json_build_array(on_.nspname, o.relname, a.attname)
             FROM pg_depend d JOIN pg_class o ON o.oid = d.refobjid
             JOIN pg_namespace on_ ON on_.oid = o.relnamespace
             JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum = d.refobjsubid
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
              AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')) END,
       'server', (SELECT json_build_array(srvname, {sorted:ftoptions}) FROM pg_foreign_table
                    JOIN pg_foreign_server s ON s.oid = ftserver WHERE ftrelid = c.oid)))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
   AND {user_schema} AND {own:pg_class c.oid}"""

COLUMNS = """\
SELECT 'column', ARRAY[n.nspname::text, c.relname::text, a.attname::text],
       json_strip_nulls(json_build_object(
       'type', format_type(a.atttypid, a.atttypmod),
       'not null', nullif(a.attnotnull, false),
       'default', pg_get_expr(d.adbin, d.adrelid),
       'generated', nullif({generated}, ''),
       'identity', nullif(a.attidentity, ''),
       'inherited', nullif(NOT a.attislocal, false),
       'collation', (SELECT json_build_array(ln.nspname, l.collname) FROM pg_collation l
                       JOIN pg_namespace ln ON ln.oid = l.collnamespace
                      WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation),
       'storage', CASE WHEN c.relkind IN ('r', 'p', 'm')
                       THEN nullif(a.attstorage, t.typstorage) END,
       'compression', nullif({compression}, ''),
       'statistics', nullif(a.attstattarget, -1),
       'options', {sorted:a.attoptions},
       'acl', CASE WHEN a.attacl IS NOT NULL THEN {acl:a.attacl} END))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.relpersistence <> 't'
   AND {user_schema} AND {own:pg_class c.oid}"""

# Foreign keys of partitions follow from their parent's, under names that depend on the order.
CONSTRAINTS = """\
SELECT 'constraint', ARRAY[n.nspname::text, coalesce(c.relname, t.typname)::text,
       k.conname::text], json_strip_nulls(json_build_object(
       'definition', pg_get_constraintdef(k.oid),
       'inherited', nullif(NOT k.conislocal, false),
       'triggers', CASE k.contype WHEN 'f' THEN (
           SELECT nullif(string_agg(DISTINCT g.tgenabled::text, ''), 'O') FROM pg_trigger g
            WHERE g.tgconstraint = k.oid) END))
  FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
  LEFT JOIN pg_class c ON c.oid = k.conrelid
  LEFT JOIN pg_type t ON t.oid = k.contypid
 WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND {user_schema}
   AND NOT (k.contype = 'f' AND {constraint_parent} <> 0)
   AND {own:pg_class k.conrelid} AND {own:pg_type k.contypid}"""

INDEXES = """\
SELECT 'index', ARRAY[n.nspname::text, c.relname::text], json_strip_nulls(json_build_object(
       'definition', pg_get_indexdef(i.indexrelid),
       'invalid', nullif(NOT i.indisvalid, false),
       'clustered', nullif(i.indisclustered, false),
       'replica identity', nullif(i.indisreplident, false)))
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relpersistence <> 't' AND {user_schema} AND {own:pg_class i.indrelid}"""

TRIGGERS = """\
SELECT 'trigger', ARRAY[n.nspname::text, c.relname::text, g.tgname::text],
       json_build_object('definition', pg_get_triggerdef(g.oid), 'enabled', g.tgenabled)
  FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT g.tgisinternal AND {trigger_parent} = 0 AND {user_schema}
   AND {own:pg_class c.oid} AND {own:pg_trigger g.oid}"""

RULES = """\
SELECT 'rule', ARRAY[n.nspname::text, c.relname::text, r.rulename::text],
       json_build_object('definition', pg_get_ruledef(r.oid), 'enabled', r.ev_enabled)
  FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE r.rulename <> '_RETURN' AND {user_schema} AND {own:pg_class c.oid}"""

POLICIES = """\
SELECT 'policy', ARRAY[n.nspname::text, c.relname::text, p.polname::text],
       json_strip_nulls(json_build_object(
       'command', p.polcmd, 'permissive', p.polpermissive,
       'roles', (SELECT json_agg(CASE r WHEN 0 THEN '' ELSE pg_get_userbyid(r)::text END)
                   FROM unnest(p.polroles) r),
       'definition', pg_get_expr(p.polqual, p.polrelid),
       'check', pg_get_expr(p.polwithcheck, p.polrelid)))
  FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE {user_schema}"""

# What the tables hold: for counting, checksumming and estimating. The key is the primary key or
# another unique index whose columns are never NULL; an extension's table counts where the extension
# itself marks its rows as the user's (pg_extension_config_dump).
TABLES = """\
SELECT n.nspname::text, c.relname::text, c.relkind::text,
       (SELECT coalesce(json_agg(json_build_array(a.attname, a.atttypid::int)
                                 ORDER BY a.attnum), '[]')
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT json_agg(a.attname ORDER BY k.n)
          FROM (SELECT i.indrelid, (i.indkey::int2[])[0:{key_columns} - 1] AS attnums
                  FROM pg_index i
                 WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid
                   AND i.indpred IS NULL AND i.indexprs IS NULL
                   AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                                      AND a.attnum = ANY ((i.indkey::int2[])[0:{key_columns} - 1])
                                      AND NOT a.attnotnull)
                 ORDER BY i.indisprimary DESC, i.indnatts, i.indexrelid LIMIT 1) u,
               unnest(u.attnums) WITH ORDINALITY k (attnum, n)
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum),
       pg_relation_size(c.oid) / current_setting('block_size')::int, c.reltuples::float8,
       CASE c.reltoastrelid WHEN 0 THEN 0 ELSE pg_relation_size(c.reltoastrelid) END,
       c.relispopulated, coalesce(x.condition, '')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT unnest(extconfig) AS oid, unnest(extcondition) AS condition
               FROM pg_extension) x ON x.oid = c.oid
 WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND {user_schema}
   AND (x.oid IS NOT NULL OR {own:pg_class c.oid})
 ORDER BY 1, 2"""
