#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_marks
short_description: Remove what Landbridge keeps in a database that it copied
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - A copy keeps its progress in the schema C(landbridge) of the target database. Once nobody goes
    back, it is of no use.
extends_documentation_fragment: [landbridge.migration.pg_server]
attributes:
  check_mode: {support: full, description: Says whether there is something to remove.}
  diff_mode: {support: none, description: "There is one schema, and its content is of no interest."}
"""

EXAMPLES = r"""
- name: Leave the shop as its users know it
  landbridge.migration.pg_marks:
    server: {host: pg.new.example, dbname: shop, user: migrator}
"""

RETURN = r"""
evidence:
  description: That no mark is left.
  returned: success
  type: dict
  sample: {marks: 0}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.connection import connect, server_spec
from ..module_utils.pg.fence import marks


def main() -> None:
    module = AnsibleModule(
        argument_spec={"server": server_spec("server")}, supports_check_mode=True
    )
    with reporting(module):
        with connect("server", module.params["server"]) as conn:
            removed = marks.converge_absent(conn, check_mode=module.check_mode)
        module.exit_json(changed=removed, evidence={"marks": 0})


if __name__ == "__main__":
    main()
