#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_verify
short_description: Prove that two databases are equal, or name what differs
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Compares every row of every table by sums of SHA-256 digests that each server computes of its
    own rows, every sequence, every large object, and every object of the catalogs with its owner
    and its privileges. Values do not leave the servers.
  - The order of rows, of columns and of collations does not matter, nor do the settings that a
    database or a role carries. Where the majors differ, definitions are compared as the target
    prints them, and privileges that only one of them knows do not count.
  - Rows that differ are named by their keys, with the columns that differ; rows of a table without
    a key by the page they are on.
  - Schema C(landbridge), members of extensions, and the privileges and the comment of the
    database itself are left out. Publications, subscriptions, settings of the database and
    versions of extensions are notes. Contents of materialized views are notes, too.
  - If a server is older than Postgres 11, which has no C(sha256()), MD5 takes its place.
extends_documentation_fragment: [landbridge.migration.pg]
options:
  role_map:
    description: >-
      The target's name of each role of the source whose name is another there; null for a role that
      the target is to do without, whose privileges are then not expected.
    type: dict
    default: {}
  jobs:
    description: Sessions on each side. Omitted, as many as this machine has processors, at most 8.
    type: int
  chunk_rows:
    description: About how many rows of a big table a statement reads.
    type: int
    default: 500000
  tables:
    description: >-
      Tables whose rows are compared, as C(schema.table) without quotes. Empty means all, and the
      large objects. The catalogs are always compared as a whole.
    type: list
    elements: str
    default: []
  live:
    description:
      - Compare while the source is written to and the target follows it by logical replication.
        Rows that differ are read again once the target has passed the source's position, until
        they are equal or it is proven that they differ. Rows that are written to at every look
        are listed in RV(evidence.live); they are no difference.
      - Sequences, materialized views, unlogged tables and large objects are not compared. Replica
        identities, which following sets, are notes.
    type: bool
    default: false
  lag_s:
    description: >-
      With O(live=true), seconds that the target may be behind the source.
    type: int
    default: 300
  settle_s:
    description: With O(live=true), seconds after which rows in flight are read no more.
    type: int
    default: 30
  strict:
    description: Whether a difference fails the task. If not, RV(evidence.equal) tells.
    type: bool
    default: true
  progress_path:
    description: File to append progress to, a JSON object a line. Set by the action of this name.
    type: path
attributes:
  check_mode: {support: full, description: "Nothing is ever changed, so it does the same."}
  diff_mode: {support: none, description: Nothing is changed.}
"""

EXAMPLES = r"""
- name: Prove that nothing was lost
  landbridge.migration.pg_verify:
    source: {host: pg.old.example, dbname: shop, user: migrator}
    target: {host: pg.new.example, dbname: shop, user: migrator}
    role_map: {cloudsqladmin: null}

- name: Prove that nothing was lost while the target follows
  landbridge.migration.pg_verify:
    source: {host: pg.old.example, dbname: shop, user: migrator}
    target: {host: pg.new.example, dbname: shop, user: migrator}
    live: true

- name: See how far two tables are apart
  landbridge.migration.pg_verify:
    source: {host: pg.old.example, dbname: shop, user: migrator}
    target: {host: pg.new.example, dbname: shop, user: migrator}
    tables: [public.orders, public.order_lines]
    strict: false
"""

RETURN = r"""
evidence:
  description: The proof, also returned beside the error if the databases differ.
  returned: success, and failure for a difference
  type: dict
  contains:
    equal:
      description: Whether nothing differs.
      type: bool
      returned: always
    algorithm:
      description: Of the rows' digests; C(sha256), or C(md5) if a server has no other.
      type: str
      returned: always
    source_version:
      description: The source's C(server_version_num).
      type: int
      returned: always
    target_version:
      description: The target's C(server_version_num).
      type: int
      returned: always
    tables_compared:
      description: How many tables, leaf partitions and materialized views were read on both sides.
      type: int
      returned: always
    rows:
      description: How many rows of the source were compared.
      type: int
      returned: always
    bytes:
      description: What those tables take on the source's disk, without indexes.
      type: int
      returned: always
    chunks:
      description: How many reads both sides took.
      type: int
      returned: always
    differing:
      description: >-
        Tables that differ, at most 100, with their numbers of rows on each side and the rows
        that differ, at most 100 in all. C(rows_complete) tells if no more rows differ.
      type: list
      elements: dict
      returned: always
    differing_count:
      description: How many tables differ.
      type: int
      returned: always
    catalog:
      description: Objects compared by class, differences and notes, at most 100 of each.
      type: dict
      returned: always
    sequences:
      description: How many were compared and those that differ, at most 100.
      type: dict
      returned: always
    large_objects:
      description: How many were compared and those that differ, at most 100.
      type: dict
      returned: always
    live:
      description: >-
        Of a comparison with O(live=true), else zeros: C(moving) rows by table and key (those of
        a table without a key together), at most 100 of C(moving_count); C(unsettled) tables with
        more rows in flight than could be looked at, which is not equal; C(skipped) objects with
        the reason; how many rows were C(reread), in how many C(rounds) and seconds (C(settle_s)).
      type: dict
      returned: always
    elapsed_s:
      description: Seconds it took.
      type: float
      returned: always
    bytes_per_s:
      description: Bytes of the source's tables a second.
      type: int
      returned: always
  sample:
    equal: true
    algorithm: sha256
    source_version: 150020
    target_version: 170010
    tables_compared: 9
    rows: 336776
    bytes: 52428800
    chunks: 18
    differing: []
    differing_count: 0
    catalog: {objects: {table: 9, index: 14}, differences: [], differences_count: 0, notes: [],
              notes_count: 0}
    sequences: {compared: 2, differing: [], differing_count: 0}
    large_objects: {compared: 0, differing: [], differing_count: 0}
    live: {compared: false, moving: [], moving_count: 0, unsettled: [], unsettled_count: 0,
           skipped: [], reread: 0, rounds: 0, settle_s: 0.0}
    elapsed_s: 0.9
    bytes_per_s: 58254222
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.connection import server_spec
from ..module_utils.pg.verify import live, verify
from ..module_utils.pg.verify.progress import VerifyProgress

MOST_JOBS = 8


def argument_spec() -> dict[str, Any]:
    return {
        "source": server_spec("source"),
        "target": server_spec("target"),
        "role_map": {"type": "dict", "default": {}},
        "jobs": {"type": "int"},
        "chunk_rows": {"type": "int", "default": 500000},
        "tables": {"type": "list", "elements": "str", "default": []},
        "live": {"type": "bool", "default": False},
        "lag_s": {"type": "int", "default": 300},
        "settle_s": {"type": "int", "default": 30},
        "strict": {"type": "bool", "default": True},
        "progress_path": {"type": "path"},
    }


def options(params: dict[str, Any]) -> verify.Options:
    """Return the module's options in the domain's terms."""
    return verify.Options(
        jobs=max(1, params["jobs"] or min(os.cpu_count() or 1, MOST_JOBS)),
        chunk_rows=max(1, params["chunk_rows"]),
        tables=params["tables"],
        role_map=params["role_map"],
        lag_s=params["lag_s"],
        settle_s=params["settle_s"],
    )


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    params = module.params
    progress = VerifyProgress(params["progress_path"], params["source"]["dbname"])
    compare = live.compare if params["live"] else verify.compare
    with reporting(module):
        with progress.shown():
            found = compare(params["source"], params["target"], options(params), progress)
        if params["strict"]:
            verify.require_equal(found)
        module.exit_json(changed=False, evidence=found.evidence())


if __name__ == "__main__":
    main()
