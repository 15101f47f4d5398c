#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_fence_info
short_description: See whether a database exists and is fenced
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Reads the record that M(landbridge.migration.pg_fence) keeps, without connecting to the
    database itself.
extends_documentation_fragment: [landbridge.migration.pg_server]
options:
  name:
    description: The database; O(server) may name another one.
    type: str
    required: true
attributes:
  check_mode: {support: full, description: Only reads.}
  diff_mode: {support: none, description: Changes nothing.}
"""

EXAMPLES = r"""
- name: See whether anyone was let into the new shop
  landbridge.migration.pg_fence_info:
    server: {host: pg.new.example, dbname: postgres, user: migrator}
    name: shop
"""

RETURN = r"""
exists:
  description: Whether the server has the database.
  returned: success
  type: bool
  sample: true
fenced:
  description: Whether a fence keeps everyone out.
  returned: success
  type: bool
  sample: true
since:
  description: Since when, in UTC.
  returned: success
  type: str
  sample: "2026-03-01T02:00:04Z"
note:
  description: What whoever put the fence up left to be found.
  returned: success
  type: str
  sample: never opened
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.connection import connect, server_spec
from ..module_utils.pg.fence.access import read_standing


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "server": server_spec("server"),
            "name": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    with reporting(module):
        with connect("server", module.params["server"]) as conn:
            found = read_standing(conn, module.params["name"])
        module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
