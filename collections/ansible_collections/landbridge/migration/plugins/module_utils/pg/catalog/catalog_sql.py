# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The queries behind catalog.read(): one for each class of object.

Each gives rows (kind, names, properties): names are raw, because quote_ident() quotes what is a
keyword and every major knows more of them; properties that have their default are left out, and
definitions come from the server's own pg_get_*def(). Members of extensions are left out: CREATE
EXTENSION makes them. What stands in braces is filled in for the server's major: `{own:pg_class
c.oid}` and the like are the macros below, single words are columns that not every major has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import sql_others, sql_relations

QUERIES = (
    sql_relations.SCHEMAS,
    sql_relations.RELATIONS,
    sql_relations.COLUMNS,
    sql_relations.CONSTRAINTS,
    sql_relations.INDEXES,
    sql_relations.TRIGGERS,
    sql_relations.RULES,
    sql_relations.POLICIES,
    sql_others.FUNCTIONS,
    sql_others.TYPES,
    sql_others.EXTENSIONS,
    sql_others.STATISTICS,
    sql_others.COMMENTS,
    sql_others.SECURITY_LABELS,
    sql_others.DEFAULT_ACLS,
    sql_others.EVENT_TRIGGERS,
    sql_others.LARGE_OBJECTS,
    sql_others.OPERATORS,
    sql_others.OPERATOR_CLASSES,
    sql_others.CASTS,
    sql_others.COLLATIONS,
    sql_others.TEXT_SEARCH_CONFIGURATIONS,
    sql_others.TEXT_SEARCH_DICTIONARIES,
    sql_others.LANGUAGES,
    sql_others.FOREIGN_SERVERS,
    sql_others.USER_MAPPINGS,
    sql_others.PUBLICATIONS,
    sql_others.SUBSCRIPTIONS,
    sql_others.SETTINGS,
)

USER_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'landbridge')"

# Not a member of an extension.
OWN = """NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '%s'::regclass
                    AND e.objid = %s AND e.deptype = 'e')"""

ACL = """(SELECT json_agg(json_build_array(
                    CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee)::text END,
                    a.privilege_type, a.is_grantable))
            FROM aclexplode(%s) a)"""

SORTED = "(SELECT json_agg(o ORDER BY o) FROM unnest(%s) o)"


# What CREATE AGGREGATE takes by default, where the columns do not exist yet.
FINAL_MODIFY = """CASE aggkind WHEN 'n' THEN 'r' ELSE 'w' END,
            CASE aggkind WHEN 'n' THEN 'r' ELSE 'w' END"""


class Macro:
    """Text with arguments: ``{name:arguments}`` in a format string."""

    def __init__(self, expand: Callable[[str], str]) -> None:
        self._expand = expand

    def __format__(self, arguments: str) -> str:
        return self._expand(arguments)


MACROS = {
    "own": Macro(lambda arguments: OWN % tuple(arguments.split())),
    "acl": Macro(lambda acl: ACL % acl),
    "sorted": Macro(lambda array: SORTED % array),
    "user_schema": USER_SCHEMA,
}


def queries(version: int) -> list[str]:
    """Return the queries of all classes for a server of ``version`` (server_version_num)."""
    words = _words(version)
    return [query.format_map(words) for query in QUERIES]


def tables_query(version: int) -> str:
    """Return the query of tables for a server of ``version``."""
    return sql_relations.TABLES.format_map(_words(version))


def _words(version: int) -> Mapping[str, object]:
    def since(major: int, then: str, before: str) -> str:
        return then if version >= major * 10000 else before

    locale = since(17, "colllocale", since(15, "colliculocale", "NULL::text"))
    return {
        **MACROS,
        "relation_am": since(
            12,
            "(SELECT nullif(amname, 'heap') FROM pg_am WHERE oid = c.relam"
            " AND c.relkind IN ('r', 'm'))",
            "NULL::name",
        ),
        "generated": since(12, "a.attgenerated", "''"),
        "compression": since(14, "a.attcompression", "''"),
        "constraint_parent": since(11, "k.conparentid", "0"),
        "trigger_parent": since(13, "g.tgparentid", "0"),
        "prokind": since(
            11,
            "p.prokind",
            "CASE WHEN p.proisagg THEN 'a' WHEN p.proiswindow THEN 'w' ELSE 'f' END",
        ),
        "finalmodify": since(11, "aggfinalmodify, aggmfinalmodify", FINAL_MODIFY),
        "sqlbody": since(14, "pg_get_function_sqlbody(p.oid)", "NULL::text"),
        "statistics_target": since(13, "s.stxstattarget", "-1"),
        "collation_locale": f"coalesce({locale}, nullif(c.collcollate, ''))",
        "nondeterministic": since(12, "nullif(NOT c.collisdeterministic, false)", "NULL::bool"),
        "key_columns": since(11, "i.indnkeyatts", "i.indnatts"),
    }
