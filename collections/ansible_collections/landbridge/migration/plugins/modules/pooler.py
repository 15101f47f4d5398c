#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pooler
short_description: Hold applications at their pooler, and let them go on at another server
version_added: 0.2.0
author: Landbridge contributors (@landbridge)
description:
  - While a database is paused at its pooler, new transactions wait; nobody gets an error.
  - Without O(state) and O(route) it only tells where the database leads and which settings of the
    pooler stand in the way of a crossing.
  - A crossing does all of this by itself, within milliseconds. The module is for looking, and for
    putting right by hand what was left half done.
  - A pooler that restarts forgets a pause. A pause whose process was killed lasts; RV(route) tells.
extends_documentation_fragment: [landbridge.migration.pooler]
options:
  pooler: {required: true}
  state:
    description:
      - V(paused) holds new transactions and waits until those under way have ended.
      - V(resumed) lets them go on.
      - Not given, it stays as it is.
    type: str
    choices: [paused, resumed]
  route:
    description:
      - Where the database is to lead, from the next transaction on. Applied after pausing and
        before resuming.
    type: dict
    suboptions:
      host: {type: str, required: true, description: Host name or address of the server.}
      port: {type: int, default: 5432, description: TCP port.}
      dbname: {type: str, required: true, description: The database's name there.}
  timeout:
    description: Seconds that pausing may take. After them all go on as before and it fails.
    type: int
    default: 10
attributes:
  check_mode: {support: full, description: Tells the route that would be.}
  diff_mode: {support: full, description: Shows the route before and after.}
"""

EXAMPLES = r"""
- name: See where the shop's transactions go
  landbridge.migration.pooler:
    pooler: {host: pool.example, user: admin, database: shop}

- name: Hold the shop's transactions
  landbridge.migration.pooler:
    pooler: {host: pool.example, user: admin, database: shop}
    state: paused
    timeout: 5

- name: Let them go on at the new server
  landbridge.migration.pooler:
    pooler:
      host: pool.example
      user: admin
      database: shop
      config_file: /etc/pgbouncer/pgbouncer.ini
    state: resumed
    route: {host: pg.new.example, dbname: shop}
"""

RETURN = r"""
route:
  description:
    - Where the database led, and leads now (in check mode, would).
    - With no pooler, C(host) is empty.
  returned: success
  type: dict
  sample:
    before: {host: pg.old.example, port: 5432, dbname: shop, paused: true}
    after: {host: pg.new.example, port: 5432, dbname: shop, paused: false}
findings:
  description: Settings of the pooler that stand in the way of a crossing.
  returned: success
  type: list
  elements: dict
  sample:
    - code: pooler_login_retry_long
      severity: warning
      object: pooler database shop
      message: "server_login_retry is 15 s: after a login that failed all clients wait so long"
      remedy: Set it to 1.
evidence:
  description: How many milliseconds each step took.
  returned: success
  type: dict
  sample: {switch_ms: 4.1, resume_ms: 0.6}
holders:
  description: The transactions that a pause waited for in vain, the longest first, at most 100.
  returned: when pausing took too long
  type: list
  elements: dict
  sample:
    - user: shop_app
      pid: 4711
      since: "2026-03-01 02:00:04 UTC"
      client: "10.0.0.7:51234"
      application_name: nightly report
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pooler.converge import converge
from ..module_utils.pooler.options import opened, pooler_spec, required_name

ROUTE = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 5432},
    "dbname": {"type": "str", "required": True},
}


def run(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Return what RETURN documents, and the diff."""
    with opened(params["pooler"]) as pooler:
        done = converge(
            pooler,
            required_name(params["pooler"]),
            state=params["state"],
            route=params["route"],
            timeout_s=params["timeout"],
            check_mode=check_mode,
        )
    before, after = asdict(done.before), asdict(done.after)
    return {
        "changed": before != after,
        "route": {"before": before, "after": after},
        "findings": [finding._asdict() for finding in done.findings],
        "evidence": done.evidence,
        "diff": {"before": before, "after": after},
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "pooler": pooler_spec(required=True),
            "state": {"type": "str", "choices": ["paused", "resumed"]},
            "route": {"type": "dict", "options": ROUTE},
            "timeout": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    with reporting(module):
        module.exit_json(**run(module.params, check_mode=module.check_mode))


if __name__ == "__main__":
    main()
