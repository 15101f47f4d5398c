#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_audit
short_description: Name what would not survive a database's migration, with its remedy
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Reads both sides and tells what stands in the way (C(blocker)), what changes or needs a person
    (C(warning)) and what is worth knowing (C(note)). Changes nothing.
  - In V(live) mode (O(mode)) each server is also asked to connect to the other one, as a subscriber
    would, in a transaction that is rolled back.
  - Tells the sizes, the identity of the source database, and how long a copy is expected to take.
extends_documentation_fragment: [landbridge.migration.pg, landbridge.migration.pg_link]
options:
  target:
    description: >-
      The server to migrate to, described like O(source). Omit it while there is none; its database
      need not exist yet.
    type: dict
    required: false
    suboptions:
      host: {type: str, required: true, description: Host name or address.}
      port: {type: int, default: 5432, description: TCP port.}
      dbname: {type: str, required: true, description: Database name.}
      user: {type: str, required: true, description: Role to connect as.}
      password:
        description: >-
          Password of O(target.user). Falls back to the environment variable
          E(LANDBRIDGE_TARGET_PASSWORD).
        type: str
      sslmode:
        description: How the server's certificate is checked.
        type: str
        default: verify-full
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
      sslrootcert: {type: path, description: File with the certificate authorities to trust.}
  role_map:
    description: >-
      The target's name of each role of the source whose name is another there; null for a role that
      the target is to do without.
    type: dict
    default: {}
  mode:
    description: How the database will be moved, while writers are stopped or while they go on.
    type: str
    choices: [window, live]
    default: window
  databases:
    description: >-
      In V(live) mode, how many databases are followed between these two servers at the same time:
      each takes a slot, a sender and a worker.
    type: int
    default: 1
    version_added: 0.2.0
  fence:
    description: Whether to look for what a fence of the source needs and could not hold.
    type: bool
    default: true
  jobs:
    description: >-
      Parts that will be copied at the same time, for the prediction. Omitted, as many as this
      machine has processors.
    type: int
  bin_dir:
    description: >-
      Folder of C(psql) and C(pg_dump). Falls back to E(LANDBRIDGE_PG_BIN), then to C(PATH) and the
      usual places.
    type: path
attributes:
  check_mode: {support: full, description: "Nothing is ever changed, so it does the same."}
  diff_mode: {support: none, description: Nothing is changed.}
"""

EXAMPLES = r"""
- name: Name everything that would not survive
  landbridge.migration.pg_audit:
    source: {host: pg.old.example, dbname: shop, user: migrator}
    target: {host: pg.new.example, dbname: shop, user: migrator}
    role_map: {cloudsqladmin: null}
  register: audit

- name: Nothing stands in the way
  ansible.builtin.assert:
    that: audit.findings | selectattr('severity', 'eq', 'blocker') | list == []
"""

RETURN = r"""
findings:
  description: The first 100 findings, what stands in the way first.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: A stable word.
      type: str
      returned: always
    severity:
      description: C(blocker), C(warning) or C(note).
      type: str
      returned: always
    object:
      description: What it is about.
      type: str
      returned: always
    message:
      description: What was found, and on which side.
      type: str
      returned: always
    remedy:
      description: What to do about it.
      type: str
      returned: always
  sample:
    - code: extension_missing
      severity: blocker
      object: extension pg_cron
      message: "target: extension pg_cron is not available"
      remedy: Drop it on the source if it is not used, or choose a target that has it.
findings_count:
  description: How many findings there are.
  returned: success
  type: int
  sample: 1
sizes:
  description: >-
    The source's C(bytes) on disk, its number of C(tables) that hold rows, its rows as statistics
    estimate them (C(rows_estimate)) and its number of C(large_objects).
  returned: success
  type: dict
  sample: {bytes: 104857600, tables: 12, rows_estimate: 340000, large_objects: 0}
identity:
  description: >-
    The source server's C(system_identifier), null if it may not be read, and the database's C(oid).
  returned: success
  type: dict
  sample: {system_identifier: "7421993020195821342", oid: 16389}
plan:
  description: >-
    Seconds expected for copying (C(copy_s)), building indexes (C(index_s)) and verifying
    (C(verify_s)), each as the work of one session, and for the whole copy with C(jobs) sessions
    (C(predicted_s)); the table that takes longest (C(longest), C(longest_s)).
  returned: success
  type: dict
  sample: {copy_s: 3.8, index_s: 2.2, verify_s: 1.9, predicted_s: 5.0, longest: public.orders,
           longest_s: 2.4}
evidence:
  description: The sizes, the identity, objects by class and the findings in short.
  returned: success
  type: dict
  sample: {source_version: 150020, target_version: 170010, findings_count: 1, blockers: 1}
"""

import os
from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import env_fallback

from ..module_utils.errors import reporting
from ..module_utils.pg.audit import audit
from ..module_utils.pg.connection import server_spec
from ..module_utils.pg.follow.address import addresses_spec


def argument_spec() -> dict[str, Any]:
    return {
        "source": server_spec("source"),
        "target": {**server_spec("target"), "required": False},
        "role_map": {"type": "dict", "default": {}},
        "mode": {"type": "str", "choices": ["window", "live"], "default": "window"},
        "databases": {"type": "int", "default": 1},
        "addresses": addresses_spec(),
        "fence": {"type": "bool", "default": True},
        "jobs": {"type": "int"},
        "bin_dir": {"type": "path", "fallback": (env_fallback, ["LANDBRIDGE_PG_BIN"])},
    }


def options(params: dict[str, Any]) -> audit.Options:
    """Return the module's options in the domain's terms."""
    return audit.Options(
        role_map=params["role_map"],
        mode=params["mode"],
        fence=params["fence"],
        databases=params["databases"],
        addresses=params["addresses"],
        jobs=max(1, params["jobs"] or os.cpu_count() or 1),
        bin_dir=params["bin_dir"],
    )


def result(found: audit.Audit) -> dict[str, Any]:
    """Return what RETURN documents."""
    plan = {
        name: round(value, 1) if isinstance(value, float) else value
        for name, value in asdict(found.plan).items()
    }
    return {
        "changed": False,
        "findings": found.rows(),
        "findings_count": len(found.findings),
        "sizes": found.sizes(),
        "identity": found.identity(),
        "plan": plan,
        "evidence": found.evidence(),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    params = module.params
    with reporting(module):
        found = audit.audit(params["source"], params["target"], options(params))
        module.exit_json(**result(found))


if __name__ == "__main__":
    main()
