#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_server
short_description: Make a provider's Postgres server as it is described
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Asks the provider for a server that does not exist, or for the differences of one that does,
    waits until it is ready and reads it again.
  - Changes nothing that a description does not name, and never makes another server in place of
    one whose version or administrator differs.
  - Proves the administrator's password by a login with the certificate verified, since no
    provider shows a password; sets it if the server does not take it.
extends_documentation_fragment: [landbridge.migration.provider]
attributes:
  check_mode: {support: full, description: Reports the changes due and asks for none.}
  diff_mode: {support: full, description: Shows each described property that changes.}
options:
  state:
    description: V(absent) deletes the server and all that is in it.
    type: str
    default: present
    choices: [present, absent]
  version:
    description: Major version of Postgres, such as V(17).
    type: int
  parameters:
    description: Server parameters by name. Write units, as in V(2GB). Others are left alone.
    type: dict
    default: {}
  restart_allowed:
    description:
      - Restart the server if a parameter takes effect only then. A server that this run has made
        is restarted in any case.
    type: bool
    default: false
  firewall:
    description: All addresses or networks, in CIDR notation, from which the server is reachable.
    type: list
    elements: str
  backup:
    description: How backups are kept, in the provider's words, such as C(retention_days).
    type: dict
  high_availability:
    description: If the provider keeps a standby.
    type: bool
  storage_mb:
    description: Storage in MB. It can grow, never shrink.
    type: int
  restore_from:
    description: C(server) and C(backup) whose contents a new server starts with.
    type: dict
seealso:
  - module: landbridge.migration.postgres_server_info
"""

EXAMPLES = r"""
- name: Make the new server
  landbridge.migration.postgres_server:
    provider: local
    name: new_postgres
    settings: {cloud: new, api: /srv/cloud/api.json}
    version: 17
    admin_user: new_admin
    admin_password: "{{ vault_new_admin_password }}"
    parameters: {max_wal_size: 2GB, max_connections: 200}
    firewall: [127.0.0.1/32]
    backup: {retention_days: 7}
    restart_allowed: true
"""

RETURN = r"""
exists:
  description: If there is such a server; in check mode, if there was.
  returned: success
  type: bool
  sample: true
server:
  description: The server as it was read last, empty if there is none.
  returned: success
  type: dict
  sample:
    name: new_postgres
    state: ready
    state_reason: ""
    version: 17
    host: 127.31.0.2
    port: 21432
    admin_user: new_admin
    pending_restart: false
    waiting_for_restart: []
    parameters: {max_wal_size: 2GB}
    firewall: [127.0.0.1/32]
    backup: {retention_days: 7}
    high_availability: false
    storage_mb: 32768
    ca: "-----BEGIN CERTIFICATE-----"
changes:
  description: What changed, or is due to in check mode, by name. The first 100.
  returned: success
  type: list
  elements: dict
  sample: [{name: parameters.max_wal_size, before: 1GB, after: 2GB}]
changes_count:
  description: How many properties changed, or are due to.
  returned: success
  type: int
  sample: 1
restarted:
  description: If the server was restarted so that parameters take effect.
  returned: success
  type: bool
  sample: false
unverified:
  description: What is described and what the provider does not tell, so that nobody compared it.
  returned: success
  type: list
  elements: str
  sample: [backup]
evidence:
  description: What the server was found to be, for a checkpoint.
  returned: success
  type: dict
  sample: {name: new_postgres, state: ready, version: 17, login: verify-full}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.cloud import postgres_server
from ..module_utils.cloud.login import password_works
from ..module_utils.cloud.parameters import text
from ..module_utils.cloud.providers import driver, provider_spec
from ..module_utils.cloud.result import evidence_of, shown
from ..module_utils.cloud.server import Wanted
from ..module_utils.errors import reporting
from ..module_utils.waiting import Deadline

REPORTED = 100  # results over 700,000 characters are dropped by ansible-runner

SPEC = {
    "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
    "version": {"type": "int"},
    "parameters": {"type": "dict", "default": {}},
    "restart_allowed": {"type": "bool", "default": False},
    "firewall": {"type": "list", "elements": "str"},
    "backup": {"type": "dict"},
    "high_availability": {"type": "bool"},
    "storage_mb": {"type": "int"},
    "restore_from": {"type": "dict"},
}


def wanted(params: dict[str, Any]) -> Wanted:
    """Return the description that the module's parameters give."""
    taken = ("name", "version", "admin_user", "admin_password", "firewall", "backup")
    more = ("high_availability", "storage_mb", "restore_from")
    parameters = {name.lower(): text(value) for name, value in params["parameters"].items()}
    return Wanted(parameters=parameters, **{name: params[name] for name in (*taken, *more)})


def result(outcome: postgres_server.Outcome, described: Wanted) -> dict[str, Any]:
    """Return what RETURN documents, plus the diff."""
    changes = [change._asdict() for change in outcome.changes[:REPORTED]]
    return {
        "changed": outcome.changed,
        "exists": outcome.server is not None,
        "server": shown(outcome.server, described.parameters),
        "changes": changes,
        "changes_count": len(outcome.changes),
        "restarted": outcome.restarted,
        "unverified": list(outcome.unverified),
        "evidence": evidence_of(outcome.server, described),
        "diff": {side: {c["name"]: c[side] for c in changes} for side in ("before", "after")},
    }


def converge(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return the module's result once the server is as described."""
    deadline, described = Deadline(params["timeout"]), wanted(params)
    provider = driver(params, deadline)
    if params["state"] == "absent":
        outcome = postgres_server.remove(
            provider, described.name, deadline=deadline, check_mode=check_mode
        )
    else:
        outcome = postgres_server.converge(
            provider,
            described,
            deadline=deadline,
            restart_allowed=params["restart_allowed"],
            password_works=password_works,
            check_mode=check_mode,
        )
    return result(outcome, described)


def main() -> None:
    module = AnsibleModule(argument_spec={**provider_spec(), **SPEC}, supports_check_mode=True)
    with reporting(module):
        module.exit_json(**converge(module.params, module.check_mode))


if __name__ == "__main__":
    main()
