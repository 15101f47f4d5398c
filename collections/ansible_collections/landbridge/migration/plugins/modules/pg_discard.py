#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_discard
short_description: Drop a copy of a database that nobody was let into
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Drops a database that M(landbridge.migration.pg_fence) has kept closed since it was made, with
    the note C(never opened). Refuses any other.
extends_documentation_fragment: [landbridge.migration.pg_server]
options:
  name:
    description: The database; O(server) must name another one.
    type: str
    required: true
attributes:
  check_mode: {support: full, description: Says whether it would be dropped.}
  diff_mode: {support: full, description: Shows the name.}
"""

EXAMPLES = r"""
- name: Drop the copy of a rehearsal
  landbridge.migration.pg_discard:
    server: {host: pg.new.example, dbname: postgres, user: migrator}
    name: shop_rehearsal
"""

RETURN = r"""
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.connection import connect, server_spec
from ..module_utils.pg.fence import discard


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "server": server_spec("server"),
            "name": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    with reporting(module):
        name = module.params["name"]
        with connect("server", module.params["server"]) as conn:
            dropped = discard.converge_absent(conn, name, check_mode=module.check_mode)
        diff = {"before": f"{name}\n" if dropped else "", "after": ""}
        module.exit_json(changed=dropped, diff=diff)


if __name__ == "__main__":
    main()
