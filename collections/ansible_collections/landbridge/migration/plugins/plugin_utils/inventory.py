# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an inventory must say, and which words it may use. Pure: variables in, sentences out.

A variable that is misspelt would not fail anywhere, its default would hold in silence: every
variable that starts like one of ours must be one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

# libpq's keyword -> the variable of a server's host.
SERVER = {
    "host": "postgres_host",
    "port": "postgres_port",
    "user": "postgres_user",
    "password": "postgres_password",
    "sslmode": "postgres_sslmode",
    "sslrootcert": "postgres_sslrootcert",
}
# A pooler's option -> the variable of its host.
POOLER = {
    "kind": "pooler_kind",
    "host": "pooler_host",
    "port": "pooler_port",
    "user": "pooler_user",
    "password": "pooler_password",
    "sslmode": "pooler_sslmode",
    "sslrootcert": "pooler_sslrootcert",
    "config_file": "pooler_config_file",
}
POOLER_REQUIRED = ("pooler_host", "pooler_user", "pooler_config_file")
REQUIRED = {"existing": ["postgres_host", "postgres_user"], "local": ["postgres_user"]}

POSTGRES = {
    *SERVER.values(),
    "postgres_admin_database",
    "postgres_api",
    "postgres_backup",
    "postgres_cloud",
    "postgres_firewall",
    "postgres_high_availability",
    "postgres_parameters",
    "postgres_restart_allowed",
    "postgres_storage_mb",
    "postgres_version",
}
DATABASE = {
    "database_source", "database_target", "database_name", "database_owner",
    "database_encoding", "database_smoke", "database_app_role", "database_app_password",
    "database_pooler", "database_pooler_name",
}  # fmt: skip
LANDBRIDGE = {
    "landbridge_answers", "landbridge_bin_dir", "landbridge_checklist", "landbridge_finalize",
    "landbridge_gate_policy", "landbridge_go", "landbridge_hooks", "landbridge_journal",
    "landbridge_journal_dbname", "landbridge_local_home", "landbridge_migration",
    "landbridge_mode", "landbridge_on_failure", "landbridge_redo", "landbridge_rehearsal",
    "landbridge_role_map", "landbridge_role_passwords", "landbridge_state_dir",
}  # fmt: skip
KNOWN = {
    "postgres_": POSTGRES,
    "database_": DATABASE,
    "pooler_": {*POOLER.values()},
    "landbridge_": LANDBRIDGE,
}


def errors(groups: Mapping[str, list[str]], hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return every mistake in the inventory, a sentence each; none means valid.

    :param groups: group names and their hosts.
    :param hosts: each host's variables.
    """
    servers = set(groups.get("postgres_servers", []))
    poolers = set(groups.get("poolers", []))
    databases = groups.get("databases", [])
    if not databases:
        return ["the inventory has no group 'databases' with a host for each database to move"]
    found: list[str] = []
    for name in sorted(servers):
        found += _server_errors(name, hosts[name])
    for name in sorted(poolers):
        found += _pooler_errors(name, hosts[name])
    for name in databases:
        found += _database_errors(name, hosts[name], servers, poolers)
    for name in sorted({*servers, *poolers, *databases}):
        found += _spelling_errors(name, hosts[name])
    return list(dict.fromkeys(found))


def _server_errors(name: str, variables: Mapping[str, Any]) -> Iterator[str]:
    provider = variables.get("provider")
    if provider not in REQUIRED:
        known = ", ".join(sorted(REQUIRED))
        yield f"{name}: provider is {provider or 'not set'}; it is one of {known}"
        return
    for variable in REQUIRED[provider]:
        if variable not in variables:
            yield f"{name}: {variable} is not set; provider {provider} needs it"


def _pooler_errors(name: str, variables: Mapping[str, Any]) -> Iterator[str]:
    for variable in POOLER_REQUIRED:
        if variable not in variables:
            yield f"{name}: {variable} is not set; a pooler needs it"


def _database_errors(
    name: str, variables: Mapping[str, Any], servers: Iterable[str], poolers: Iterable[str]
) -> Iterator[str]:
    for variable in ("database_source", "database_target"):
        server = variables.get(variable)
        if server is None:
            yield f"{name}: {variable} is not set; it names a host of group postgres_servers"
        elif server not in servers:
            yield f"{name}: {variable} is {server}, which is no host of group postgres_servers"
    pooler = variables.get("database_pooler")
    if pooler is not None and pooler not in poolers:
        yield f"{name}: database_pooler is {pooler}, which is no host of group poolers"


def _spelling_errors(name: str, variables: Mapping[str, Any]) -> Iterator[str]:
    for variable in sorted(variables):
        for prefix, known in KNOWN.items():
            if variable.startswith(prefix) and variable not in known:
                near = get_close_matches(variable, known, n=1)
                advice = f"did you mean {near[0]}?" if near else "remove it or rename it"
                # A variable of the whole inventory is one mistake, not one a host.
                yield f"variable {variable} is not known; {advice}"


def server(variables: Mapping[str, Any], dbname: str | None = None) -> dict[str, Any]:
    """Return a server host's endpoint in libpq's keywords.

    :param dbname: by default the one that the host names for work on the server itself.

    Raise ValueError naming the variable if the host has no address (yet).
    """
    if not variables.get("postgres_host"):
        name = variables.get("inventory_hostname", "the server")
        raise ValueError(f"{name}: postgres_host is not known; run --tags postgres first")
    found = {keyword: variables.get(variable) for keyword, variable in SERVER.items()}
    return {keyword: value for keyword, value in found.items() if value is not None} | {
        "dbname": dbname or variables.get("postgres_admin_database", "postgres")
    }


def pooler(variables: Mapping[str, Any], database: str | None = None) -> dict[str, Any]:
    """Return a pooler host's options, as modules with the option ``pooler`` take them.

    :param database: what applications ask the pooler for; by default the database's own name.
    """
    found = {option: variables.get(variable) for option, variable in POOLER.items()}
    found["database"] = database
    return {option: value for option, value in found.items() if value is not None}


def described(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a server's host says it must be: our variables, without addresses and secrets."""
    left_out = {*SERVER.values(), "postgres_api"}
    kept = {name: variables[name] for name in sorted(POSTGRES - left_out) if name in variables}
    return {"provider": variables["provider"], **kept}
