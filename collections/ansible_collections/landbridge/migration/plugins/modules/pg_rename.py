#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_rename
short_description: Rename databases, all of them or none
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Renames in the order given and in one transaction, so that a database takes another's place
    at once.
  - A rename whose database is gone, or whose new name is taken, was made before and is left out.
extends_documentation_fragment: [landbridge.migration.pg_server]
options:
  renames:
    description: What to rename; O(server) must name a database that is not among them.
    type: list
    elements: dict
    required: true
    suboptions:
      datname: {type: str, required: true, description: The database.}
      new_name: {type: str, required: true, description: Its new name.}
attributes:
  check_mode: {support: full, description: Reports the renames due.}
  diff_mode: {support: full, description: Shows the names before and after.}
"""

EXAMPLES = r"""
- name: Put what came back in the place of the shop
  landbridge.migration.pg_rename:
    server: {host: pg.old.example, dbname: postgres, user: migrator}
    renames:
      - {datname: shop, new_name: shop_until_20260301}
      - {datname: shop_landbridge_back, new_name: shop}
"""

RETURN = r"""
renames:
  description: The renames made, or due in check mode.
  returned: success
  type: list
  elements: dict
  sample: [{datname: shop, new_name: shop_until_20260301}]
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.connection import connect, server_spec
from ..module_utils.pg.fence.renames import Rename, converge

RENAMES = {
    "type": "list",
    "elements": "dict",
    "required": True,
    "options": {
        "datname": {"type": "str", "required": True},
        "new_name": {"type": "str", "required": True},
    },
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={"server": server_spec("server"), "renames": RENAMES},
        supports_check_mode=True,
    )
    with reporting(module):
        wanted = [Rename(**rename) for rename in module.params["renames"]]
        with connect("server", module.params["server"]) as conn:
            made = converge(conn, wanted, check_mode=module.check_mode)
        diff = {
            "before": "".join(f"{rename.datname}\n" for rename in made),
            "after": "".join(f"{rename.new_name}\n" for rename in made),
        }
        renames = [rename._asdict() for rename in made]
        module.exit_json(changed=bool(made), renames=renames, diff=diff)


if __name__ == "__main__":
    main()
