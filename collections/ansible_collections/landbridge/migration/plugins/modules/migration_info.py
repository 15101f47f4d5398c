#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_info
short_description: Read what the journal holds about a migration
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Reads the journal and writes nothing. M(landbridge.migration.run) returns the same for its own
    migration, and more until the journal exists.
extends_documentation_fragment: [landbridge.migration.pg_server]
options:
  migration:
    description: Name of the migration. Without it only the list of migrations is returned.
    type: str
attributes:
  check_mode: {support: full, description: Reads only.}
  diff_mode: {support: none, description: Changes nothing.}
"""

EXAMPLES = r"""
- name: Read where the migration stands
  landbridge.migration.migration_info:
    server: {host: pg.new.example, dbname: landbridge, user: admin}
    migration: acme
"""

RETURN = r"""
journal:
  description: Whether the journal exists, C(present) or C(absent).
  returned: success
  type: str
  sample: present
migrations:
  description: Every migration that the journal knows.
  returned: success
  type: list
  elements: dict
  sample:
    - name: acme
      description: ''
      rehearsal_of:
      created: "2026-05-04T20:00:00.000Z"
      last_run: "2026-05-04T21:00:00.000Z"
snapshot:
  description: >-
    What the journal holds about O(migration), with the keys that M(landbridge.migration.run)
    documents. Empty if the journal is absent or no migration is named.
  returned: success
  type: dict
  sample: {migration: acme, checkpoints: []}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.journal.database import read_journal
from ..module_utils.pg.connection import server_spec


def main() -> None:
    module = AnsibleModule(
        argument_spec={"server": server_spec("server"), "migration": {"type": "str"}},
        supports_check_mode=True,
    )
    with reporting(module):
        found = read_journal(module.params["server"], module.params["migration"])
        module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
