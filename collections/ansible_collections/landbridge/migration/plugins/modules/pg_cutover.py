#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_cutover
short_description: Cross to the database that follows, or back, while applications wait a moment
version_added: 0.2.0
author: Landbridge contributors (@landbridge)
description:
  - Of two databases one serves and the other follows it. Afterwards the other one serves and is
    followed by the one that was left, so that the way back loses nothing either.
  - Everything that can be made ready is, before anyone waits. Then the pooler holds new
    transactions; the side that is left is fenced, its last write is awaited on the other side, its
    sequences are set there; the other side is opened, and the pooler leads to it.
  - What fails before the other side is opened is undone, and applications go on as before. A run
    that was killed is finished by the next one, or taken back by one in the opposite direction.
    Which steps are left is found by looking at both databases and the pooler.
  - Both sides are never open at once. When it cannot be told whether the other side has opened, the
    one that is left stays fenced until the next run.
  - Replication does not carry sequences, large objects and unlogged tables. Sequences are set to
    exactly the positions they had; the others are copied if they are small. Materialized views keep
    what they showed there.
  - Needs no superuser, but to own both databases. To be followed back, the source's server must be
    of version 16 or newer, or let the role subscribe; otherwise C(evidence.way_back) is V(none).
extends_documentation_fragment:
  - landbridge.migration.pg
  - landbridge.migration.pg_link
  - landbridge.migration.pooler
options:
  direction:
    description: V(forward) lets the target serve, V(back) the source.
    type: str
    choices: [forward, back]
    default: forward
  role_map:
    description: >-
      The target's names of the source's roles; a role mapped to null is left out. The target is
      opened to whom the source was open to, the source to whom it was open to before.
    type: dict
    default: {}
  routes:
    description: What the pooler calls each server, where it is not as in O(source) and O(target).
    type: dict
    default: {}
    suboptions:
      source:
        description: The source, as the pooler reaches it.
        type: dict
        suboptions: &route
          host: {type: str, description: Host name or address.}
          port: {type: int, description: TCP port.}
          dbname: {type: str, description: Database name.}
      target:
        description: The target, as the pooler reaches it.
        type: dict
        suboptions: *route
  keep:
    description: Roles that may connect to the fenced side, besides the one connecting here.
    type: list
    elements: str
    default: []
  way_back:
    description: Whether the side that is left is to follow the one that serves then.
    type: bool
    default: true
  until:
    description: >-
      V(fenced) stops when the side that is left is fenced, for hooks that lead applications to the
      other one where no pooler does. Run again without it to go on, or in the other direction to
      let it serve again.
    type: str
    choices: [fenced, done]
    default: done
  pause_timeout_s:
    description: Seconds that transactions under way may take to end before the pause is given up.
    type: float
    default: 5.0
  drain_timeout_s:
    description: >-
      Seconds that the last write may take to be on the other side. The same is tried before anyone
      waits, so a link that is behind is refused.
    type: float
    default: 10.0
  delta_budget_ms:
    description: >-
      Milliseconds for comparing, while applications wait, what changed last on both sides; V(0)
      compares nothing.
    type: int
    default: 0
  carry_limit_mb:
    description: >-
      How many megabytes large objects and unlogged tables may hold together. They are brought level
      before anyone waits, and compared once more while applications wait if they were written to
      since.
    type: int
    default: 64
attributes:
  check_mode: {support: full, description: Reports the steps that would be done.}
  diff_mode: {support: full, description: Shows the steps.}
"""

EXAMPLES = r"""
- name: Let the new shop serve
  landbridge.migration.pg_cutover:
    source: {host: pg.old.example, dbname: shop, user: migrator}
    target: {host: pg.new.example, dbname: shop, user: migrator}
    pooler:
      host: pooler.example
      user: pooler_admin
      config_file: /etc/pgbouncer/pgbouncer.ini

- name: Let the old shop serve again, with all that the new one accepted
  landbridge.migration.pg_cutover:
    direction: back
    source: {host: pg.old.example, dbname: shop, user: migrator}
    target: {host: pg.new.example, dbname: shop, user: migrator}
    pooler:
      host: pooler.example
      user: pooler_admin
      config_file: /etc/pgbouncer/pgbouncer.ini
"""

RETURN = r"""
steps:
  description: The steps done, or due in check mode, each with the side it is about and the reason.
  returned: success
  type: list
  elements: dict
  sample:
    - {step: cross, side: target, why: it follows the side that serves}
findings:
  description: The first 100 things that a person should know.
  returned: success
  type: list
  elements: dict
  sample:
    - code: no_live_way_back
      severity: warning
      object: source database
      message: "its server does not let this role subscribe: must be superuser"
      remedy: Back then means a window, in which what the target accepted is carried back as a copy.
findings_count:
  description: How many findings there are.
  returned: success
  type: int
  sample: 1
evidence:
  description: What proves the state; empty in check mode.
  returned: success
  type: dict
  sample:
    serves: target
    fenced: source
    way_back: following
    route: pg.new.example:5432/shop
    stall_ms: 31.2
    sequences_set: 40
    sessions_terminated: 0
    canary_lsn: 0/1A2B3C8
    timings:
      - {step: pause, ms: 2.1}
      - {step: barrier, ms: 14.9}
      - {step: take_over, ms: 4.0}
      - {step: switch, ms: 8.1}
      - {step: resume, ms: 0.4}
      - {step: follow, ms: 48.7}
      - {step: drop, ms: 61.3}
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.crossing.crossing import cross
from ..module_utils.pg.crossing.options import argument_spec, requested, result


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    with reporting(module), requested(module.params, check_mode=module.check_mode) as asked:
        module.exit_json(**result(cross(asked)))


if __name__ == "__main__":
    main()
