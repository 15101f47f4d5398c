# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Queries for all classes but relations; catalog_sql.py fills in the braces."""

from __future__ import annotations

FUNCTIONS = """\
SELECT 'function', ARRAY[n.nspname::text, p.proname::text, oidvectortypes(p.proargtypes)],
       json_strip_nulls(json_build_object(
       'owner', pg_get_userbyid(p.proowner),
       'acl', {acl:coalesce(p.proacl, acldefault('f', p.proowner))},
       'kind', {prokind}, 'language', l.lanname, 'body', p.prosrc, 'library', p.probin,
       'SQL body', {sqlbody},
       'arguments', pg_get_function_arguments(p.oid), 'result', pg_get_function_result(p.oid),
       'volatility', nullif(p.provolatile, 'v'), 'strict', nullif(p.proisstrict, false),
       'security definer', nullif(p.prosecdef, false),
       'leakproof', nullif(p.proleakproof, false), 'parallel', nullif(p.proparallel, 'u'),
       'cost', p.procost, 'rows', nullif(p.prorows, 0), 'settings', {sorted:p.proconfig},
       'aggregate', (SELECT json_build_array(aggkind, aggnumdirectargs, aggtransfn::text,
            aggfinalfn::text, aggcombinefn::text, aggserialfn::text, aggdeserialfn::text,
            aggmtransfn::text, aggminvtransfn::text, aggmfinalfn::text, aggfinalextra,
            aggmfinalextra, {finalmodify}, aggsortop::regoper,
            aggtranstype::regtype, aggmtranstype::regtype, agginitval, aggminitval)
            FROM pg_aggregate WHERE aggfnoid = p.oid)))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
  JOIN pg_language l ON l.oid = p.prolang
 WHERE {user_schema} AND {own:pg_proc p.oid}
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                      AND d.objid = p.oid AND d.deptype = 'i')"""

TYPES = """\
SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END,
       ARRAY[n.nspname::text, t.typname::text], json_strip_nulls(json_build_object(
       'owner', pg_get_userbyid(t.typowner),
       'acl', {acl:coalesce(t.typacl, acldefault('T', t.typowner))},
       'kind', t.typtype,
       'base type', CASE t.typtype WHEN 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
       'not null', nullif(t.typnotnull, false), 'default', t.typdefault,
       'labels', (SELECT json_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum
                   WHERE enumtypid = t.oid),
       'range', (SELECT json_build_array(rngsubtype::regtype, rngcanonical::text,
                        rngsubdiff::text,
                        (SELECT opcname FROM pg_opclass o WHERE o.oid = rngsubopc),
                        (SELECT collname FROM pg_collation o WHERE o.oid = rngcollation))
                   FROM pg_range WHERE rngtypid = t.oid),
       'collation', CASE t.typtype WHEN 'd' THEN (SELECT collname FROM pg_collation l
                     WHERE l.oid = t.typcollation) END,
       'input', CASE t.typtype WHEN 'b' THEN t.typinput::text END))
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE (t.typtype IN ('d', 'e', 'r', 'b')
        OR t.typtype = 'c' AND (SELECT relkind FROM pg_class WHERE oid = t.typrelid) = 'c')
   AND NOT EXISTS (SELECT FROM pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid)
   AND {user_schema} AND {own:pg_type t.oid}"""

EXTENSIONS = """\
SELECT 'extension', ARRAY[extname::text], json_build_object(
       'version', extversion, 'schema', (SELECT nspname FROM pg_namespace WHERE oid = extnamespace))
  FROM pg_extension"""

STATISTICS = """\
SELECT 'statistics object', ARRAY[n.nspname::text, s.stxname::text],
       json_strip_nulls(json_build_object(
       'owner', pg_get_userbyid(s.stxowner), 'definition', pg_get_statisticsobjdef(s.oid),
       'target', nullif({statistics_target}, -1)))
  FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE {user_schema}"""

COMMENTS = """\
SELECT 'comment', ARRAY[i.type] || i.object_names || i.object_args,
       json_build_object('text', d.description)
  FROM pg_description d,
       LATERAL pg_identify_object_as_address(d.classoid, d.objoid, d.objsubid) i
 WHERE (d.objoid >= 16384 OR d.classoid = 'pg_namespace'::regclass AND d.objoid = 2200)
   AND d.classoid <> 'pg_extension'::regclass AND i.object_names[1] <> 'landbridge'
   AND i.object_names[1] !~ '^pg_(toast|temp)'
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid
                      AND e.deptype = 'e')"""

SECURITY_LABELS = """\
SELECT 'security label', ARRAY[s.provider, i.type] || i.object_names || i.object_args,
       json_build_object('label', s.label)
  FROM pg_seclabel s,
       LATERAL pg_identify_object_as_address(s.classoid, s.objoid, s.objsubid) i"""

DEFAULT_ACLS = """\
SELECT 'default privileges', ARRAY[pg_get_userbyid(d.defaclrole)::text,
       coalesce(n.nspname::text, ''), d.defaclobjtype::text],
       json_build_object('acl', {acl:d.defaclacl})
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
 WHERE n.nspname IS DISTINCT FROM 'landbridge'"""

EVENT_TRIGGERS = """\
SELECT 'event trigger', ARRAY[t.evtname::text], json_strip_nulls(json_build_object(
       'owner', pg_get_userbyid(t.evtowner), 'event', t.evtevent,
       'function', t.evtfoid::regproc::text, 'enabled', t.evtenabled,
       'tags', {sorted:t.evttags}))
  FROM pg_event_trigger t WHERE {own:pg_event_trigger t.oid}"""

# Only how many of each owner's have which grants: there may be millions.
LARGE_OBJECTS = """\
SELECT 'large objects', ARRAY[pg_get_userbyid(lomowner)::text],
       json_build_object('count', sum(n), 'grants', json_agg(json_build_array(n, acl)))
  FROM (SELECT lomowner, count(*) AS n,
               {acl:coalesce(lomacl, acldefault('L', lomowner))} AS acl
          FROM pg_largeobject_metadata GROUP BY lomowner, lomacl) g
 GROUP BY lomowner"""

OPERATORS = """\
SELECT 'operator', ARRAY[n.nspname::text, o.oprname::text, o.oprleft::regtype::text,
       o.oprright::regtype::text], json_build_object('owner', pg_get_userbyid(o.oprowner),
       'function', o.oprcode::text, 'commutator', o.oprcom::regoper,
       'negator', o.oprnegate::regoper, 'restrict', o.oprrest::text,
       'join', o.oprjoin::text, 'merges', o.oprcanmerge, 'hashes', o.oprcanhash)
  FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
 WHERE {user_schema} AND {own:pg_operator o.oid}"""

OPERATOR_CLASSES = """\
SELECT 'operator class', ARRAY[m.amname::text, n.nspname::text, o.opcname::text],
       json_build_object('owner', pg_get_userbyid(o.opcowner), 'type', o.opcintype::regtype,
       'default', o.opcdefault, 'storage', nullif(o.opckeytype, 0)::regtype,
       'operators', (SELECT json_agg(json_build_array(amopstrategy, amopopr::regoperator)
                             ORDER BY amopstrategy, amopopr::regoperator::text)
                       FROM pg_amop WHERE amopfamily = o.opcfamily))
  FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace
  JOIN pg_am m ON m.oid = o.opcmethod
 WHERE {user_schema} AND {own:pg_opclass o.oid}"""

CASTS = """\
SELECT 'cast', ARRAY[c.castsource::regtype::text, c.casttarget::regtype::text],
       json_build_object('function', nullif(c.castfunc, 0)::regprocedure, 'context', c.castcontext,
       'method', c.castmethod)
  FROM pg_cast c WHERE c.oid >= 16384 AND {own:pg_cast c.oid}"""

COLLATIONS = """\
SELECT 'collation', ARRAY[n.nspname::text, c.collname::text], json_strip_nulls(json_build_object(
       'owner', pg_get_userbyid(c.collowner), 'provider', c.collprovider,
       'locale', {collation_locale}, 'nondeterministic', {nondeterministic}))
  FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
 WHERE {user_schema} AND {own:pg_collation c.oid}"""

TEXT_SEARCH_CONFIGURATIONS = """\
SELECT 'text search configuration', ARRAY[n.nspname::text, c.cfgname::text], json_build_object(
       'owner', pg_get_userbyid(c.cfgowner),
       'parser', (SELECT prsname FROM pg_ts_parser WHERE oid = c.cfgparser),
       'mapping', (SELECT json_agg(json_build_array(maptokentype, mapdict::regdictionary)
                           ORDER BY maptokentype, mapseqno)
                     FROM pg_ts_config_map WHERE mapcfg = c.oid))
  FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace
 WHERE {user_schema} AND {own:pg_ts_config c.oid}"""

TEXT_SEARCH_DICTIONARIES = """\
SELECT 'text search dictionary', ARRAY[n.nspname::text, d.dictname::text], json_build_object(
       'owner', pg_get_userbyid(d.dictowner), 'options', d.dictinitoption,
       'template', (SELECT tmplname FROM pg_ts_template WHERE oid = d.dicttemplate))
  FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace
 WHERE {user_schema} AND {own:pg_ts_dict d.oid}"""

LANGUAGES = """\
SELECT 'language', ARRAY[l.lanname::text], json_build_object('trusted', l.lanpltrusted)
  FROM pg_language l WHERE l.lanispl AND {own:pg_language l.oid}"""

# The options of servers and user mappings may hold secrets: their names only.
FOREIGN_SERVERS = """\
SELECT 'foreign server', ARRAY[s.srvname::text], json_build_object(
       'owner', pg_get_userbyid(s.srvowner), 'type', s.srvtype, 'version', s.srvversion,
       'acl', {acl:coalesce(s.srvacl, acldefault('S', s.srvowner))},
       'wrapper', (SELECT fdwname FROM pg_foreign_data_wrapper WHERE oid = s.srvfdw),
       'options', (SELECT json_agg(split_part(o, '=', 1) ORDER BY o) FROM unnest(s.srvoptions) o))
  FROM pg_foreign_server s WHERE {own:pg_foreign_server s.oid}"""

USER_MAPPINGS = """\
SELECT 'user mapping', ARRAY[CASE umuser WHEN 0 THEN '' ELSE usename::text END, srvname::text],
       '{{}}'::json
  FROM pg_user_mappings"""

PUBLICATIONS = """\
SELECT 'publication', ARRAY[pubname::text], '{{}}'::json FROM pg_publication"""

SUBSCRIPTIONS = """\
SELECT 'subscription', ARRAY[subname::text], '{{}}'::json
  FROM pg_subscription
 WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"""

SETTINGS = """\
SELECT 'setting', ARRAY[CASE s.setrole WHEN 0 THEN '' ELSE pg_get_userbyid(s.setrole)::text END],
       json_build_object('settings', {sorted:s.setconfig})
  FROM pg_db_role_setting s
 WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"""
