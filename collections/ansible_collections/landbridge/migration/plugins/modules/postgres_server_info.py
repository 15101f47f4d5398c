#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_server_info
short_description: Tell where a provider's Postgres server is and how it does
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Reads one server at its provider. Waits for nothing.
  - A provider that does not answer, or refuses, is an error and never taken for a missing server.
extends_documentation_fragment: [landbridge.migration.provider]
attributes:
  check_mode: {support: full, description: Reads in check mode what it reads without it.}
  diff_mode: {support: none, description: Changes nothing.}
options:
  parameters:
    description: Names of the server parameters to tell.
    type: list
    elements: str
    default: []
  ca_dest:
    description:
      - File to write the certificate authority to that signs the server's certificate, for
        connections with C(sslmode=verify-full).
      - A cached copy of what was read, so it is written in check mode, too, and is no change.
    type: path
seealso:
  - module: landbridge.migration.postgres_server
"""

EXAMPLES = r"""
- name: Find the new server
  landbridge.migration.postgres_server_info:
    provider: local
    name: new_postgres
    settings: {cloud: new, api: /srv/cloud/api.json}
    ca_dest: "{{ playbook_dir }}/.landbridge/new_postgres.pem"
  register: found
"""

RETURN = r"""
exists:
  description: If there is such a server.
  returned: success
  type: bool
  sample: true
server:
  description: The server, empty if there is none.
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
    parameters: {}
    firewall: [127.0.0.1/32]
    backup: {retention_days: 7}
    high_availability: false
    storage_mb: 32768
    ca: "-----BEGIN CERTIFICATE-----"
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.cloud.login import write_ca
from ..module_utils.cloud.providers import driver, provider_spec
from ..module_utils.cloud.result import shown
from ..module_utils.errors import reporting
from ..module_utils.waiting import Deadline

SPEC = {
    "parameters": {"type": "list", "elements": "str", "default": []},
    "ca_dest": {"type": "path"},
}


def read(params: dict[str, Any]) -> dict[str, Any]:
    """Return what RETURN documents."""
    server = driver(params, Deadline(params["timeout"])).read(params["name"])
    if server and server.ca and params["ca_dest"]:
        write_ca(server.ca, params["ca_dest"])
    return {
        "changed": False,
        "exists": server is not None,
        "server": shown(server, map(str.lower, params["parameters"])),
    }


def main() -> None:
    module = AnsibleModule(argument_spec={**provider_spec(), **SPEC}, supports_check_mode=True)
    with reporting(module):
        module.exit_json(**read(module.params))


if __name__ == "__main__":
    main()
