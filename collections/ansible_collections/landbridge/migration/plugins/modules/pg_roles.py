#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_roles
short_description: Make a server's roles as the source's databases need them
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Finds the roles that own something in the listed databases of the source, were granted
    something there or may connect, with the roles they are members of and their members; makes
    them on the target with their attributes, settings, comments and memberships.
  - Makes the target's administrator a member of each owner, so that it can give objects to them.
  - Leaves roles of Postgres and of the provider alone, takes nothing away from a role but
    attributes, and drops none. What only a superuser may do is a finding.
  - Call it once for all databases of a pair of servers. Calls at the same time take turns.
extends_documentation_fragment: [landbridge.migration.pg]
attributes:
  check_mode: {support: full, description: Reports the changes due and makes none.}
  diff_mode: {support: full, description: Shows each attribute and membership that changes.}
options:
  databases:
    description: Databases of the source that move.
    type: list
    elements: str
    required: true
  role_map:
    description:
      - Name on the target by name on the source; null leaves the role out. Others keep their name.
      - O(source.user) is O(target.user) unless named here.
    type: dict
    default: {}
  passwords:
    description:
      - Password by name on the target. One that works already is left alone, which a login tells.
      - Only SCRAM verifiers are sent.
    type: dict
    default: {}
seealso:
  - module: landbridge.migration.pg_database
"""

EXAMPLES = r"""
- name: Make the roles of shop and identity
  landbridge.migration.pg_roles:
    source: {host: pg.old.example, dbname: postgres, user: old_admin}
    target: {host: pg.new.example, dbname: postgres, user: new_admin}
    databases: [shop, identity]
    role_map: {old_admin: new_admin, intern: null}
    passwords: {shop_app: "{{ vault_shop_app_password }}"}
"""

RETURN = r"""
roles:
  description: The target's names of the roles that the databases need. The first 100.
  returned: success
  type: list
  elements: str
  sample: [shop_app, shop_owner]
roles_count:
  description: How many roles the databases need.
  returned: success
  type: int
  sample: 2
changes:
  description: What changed, or is due to in check mode. The first 100.
  returned: success
  type: list
  elements: dict
  sample:
    - {role: shop_app, what: role, before: null, after: {rolcanlogin: true}}
    - role: shop_app
      what: membership in shop_owner
      before: null
      after: {admin: false, inherit: true, set: true}
    - {role: shop_app, what: password, before: another, after: as given}
changes_count:
  description: How many changes were made, or are due.
  returned: success
  type: int
  sample: 3
findings:
  description: What could not be done and what to do about it. The first 100.
  returned: success
  type: list
  elements: dict
  sample:
    - code: role_attribute_refused
      severity: warning
      object: role auditor
      message: auditor is made without BYPASSRLS, which the target's administrator may not give
      remedy: If auditor needs it there, have the provider or a superuser give BYPASSRLS.
findings_count:
  description: How many findings there are.
  returned: success
  type: int
  sample: 1
evidence:
  description: Counts and names for a checkpoint.
  returned: success
  type: dict
  sample: {roles_count: 2, roles: [shop_app, shop_owner], memberships_count: 1, findings_count: 1}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.connection import server_spec
from ..module_utils.pg.roles.server_roles import Outcome, converge

REPORTED = 100  # results over 700,000 characters are dropped by ansible-runner

SPEC = {
    "source": server_spec("source"),
    "target": server_spec("target"),
    "databases": {"type": "list", "elements": "str", "required": True},
    "role_map": {"type": "dict", "default": {}},
    "passwords": {"type": "dict", "default": {}, "no_log": True},
}


def result(outcome: Outcome) -> dict[str, Any]:
    """Return what RETURN documents, plus the diff."""
    changes = outcome.changes[:REPORTED]
    diff = {
        side: {f"{c['role']}: {c['what']}": c[side] for c in changes}
        for side in ("before", "after")
    }
    return {
        "changed": bool(outcome.changes),
        "roles": outcome.roles[:REPORTED],
        "roles_count": len(outcome.roles),
        "changes": changes,
        "changes_count": len(outcome.changes),
        "findings": [finding._asdict() for finding in outcome.findings[:REPORTED]],
        "findings_count": len(outcome.findings),
        "evidence": {
            "roles_count": len(outcome.roles),
            "roles": outcome.roles[:REPORTED],
            "memberships_count": outcome.memberships_count,
            "findings_count": len(outcome.findings),
        },
        "diff": diff,
    }


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    with reporting(module):
        module.exit_json(**result(converge(module.params, check_mode=module.check_mode)))


if __name__ == "__main__":
    main()
