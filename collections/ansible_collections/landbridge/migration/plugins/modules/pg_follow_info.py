#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_follow_info
short_description: See how far a followed database is, and what stands in the way of its crossing
version_added: 0.2.0
author: Landbridge contributors (@landbridge)
description:
  - Reads both sides of a database that M(landbridge.migration.pg_follow) has follow another one.
    Changes nothing.
  - Tells the lag and whether it falls, what the slot keeps, and every guard that has something to
    say. A guard's C(blocker) is what a crossing must not be begun with.
  - What stopped a subscription is found by doing the slot's next transaction once more, in a
    transaction that is rolled back.
extends_documentation_fragment: [landbridge.migration.pg]
options:
  direction:
    description: >-
      Whether the target follows the source (C(forward)) or, after a crossing, the source the target
      (C(back)).
    type: str
    choices: [forward, back]
    default: forward
  role_map:
    description: >-
      The target's name of each role of the source whose name is another there; null for a role that
      the target does without.
    type: dict
    default: {}
  max_lag_bytes:
    description: The lag, in bytes, with which a crossing may begin.
    type: int
    default: 16777216
  max_lag_s:
    description: The lag, in seconds, with which a crossing may begin.
    type: float
    default: 5.0
  carried_bytes:
    description: >-
      How many bytes of what replication does not carry, such as large objects, the crossing copies
      by itself. With more of it changed since the snapshot, the guard is a blocker.
    type: int
    default: 0
  disk_free_bytes:
    description: >-
      Free bytes of the publishing server's disk, where its provider tells them. Without it a slot
      is measured by C(max_slot_wal_keep_size) or the database's size.
    type: int
  watch_s:
    description: Seconds between the two looks that the trend is told by.
    type: float
    default: 1.0
attributes:
  check_mode: {support: full, description: Only reads.}
  diff_mode: {support: none, description: Changes nothing.}
seealso:
  - module: landbridge.migration.pg_follow
  - module: landbridge.migration.pg_audit
"""

EXAMPLES = r"""
- name: See whether shop may cross
  landbridge.migration.pg_follow_info:
    source: {host: pg.old.example, dbname: shop, user: migrator}
    target: {host: pg.new.example, dbname: shop, user: migrator}
  register: shop

- name: Nothing stands in the way
  ansible.builtin.assert:
    that: shop.blockers_count == 0
    fail_msg: "{{ shop.guards | map(attribute='message') | join('; ') }}"
"""

RETURN = r"""
summary:
  description: The state, the lag and the number of blockers in a sentence.
  returned: success
  type: str
  sample: following; 0.0 MB and 0.2 s behind, steady; the slot keeps 1 MB; nothing is in the gate's
    way
links:
  description: >-
    Each epoch of the direction, the oldest first. Its C(state) is C(following), C(waiting) (no
    worker applies just now), C(blocked) (a change cannot be applied), C(stopped) (the subscription
    is disabled) or C(broken) (a part of it is missing or lost).
  returned: success
  type: list
  elements: dict
  sample:
    - name: landbridge_3f2a9c01b7d4_1
      epoch: 1
      state: following
      lag_bytes: 1024
      slot_bytes: 65536
      errors: 0
lag_bytes:
  description: What is written on one side and not confirmed by the other, of the slowest epoch.
  returned: success
  type: int
  sample: 1024
lag_s:
  description: >-
    The age, in seconds, of the oldest change that is not applied; null if nothing was written to
    tell it by.
  returned: success
  type: float
  sample: 0.2
trend:
  description: Whether the lag is C(falling), C(steady) or C(growing).
  returned: success
  type: str
  sample: steady
eta_s:
  description: Seconds until the lag is small at this rate; null if it is not falling.
  returned: success
  type: float
  sample: 0.0
slot_bytes:
  description: The WAL that the server keeps for the slots.
  returned: success
  type: int
  sample: 65536
guards:
  description: The first 100 guards that have something to say, blockers first.
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
    - code: ddl
      severity: blocker
      object: column public.orders.note added
      message: "source: changed since the snapshot, and not on the target: column public.orders.note
        added"
      remedy: Make the same change on the target, or take it back.
guards_count:
  description: How many guards have something to say.
  returned: success
  type: int
  sample: 1
blockers_count:
  description: How many of them keep the gate closed.
  returned: success
  type: int
  sample: 1
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.connection import server_spec
from ..module_utils.pg.follow.watch import Direction, Seen, watch
from ..module_utils.pg.follow.watched import Limits


def argument_spec() -> dict[str, Any]:
    return {
        "source": server_spec("source"),
        "target": server_spec("target"),
        "direction": {"type": "str", "choices": ["forward", "back"], "default": "forward"},
        "role_map": {"type": "dict", "default": {}},
        "max_lag_bytes": {"type": "int", "default": 16 << 20},
        "max_lag_s": {"type": "float", "default": 5.0},
        "carried_bytes": {"type": "int", "default": 0},
        "disk_free_bytes": {"type": "int"},
        "watch_s": {"type": "float", "default": 1.0},
    }


def direction(params: dict[str, Any]) -> Direction:
    """Return which side follows which; the role map is the other way round on the way back."""
    source, target, role_map = params["source"], params["target"], params["role_map"]
    if params["direction"] == "forward":
        return Direction(source, target, ("source", "target"), role_map)
    inverted = {there: here for here, there in role_map.items() if there is not None}
    return Direction(target, source, ("target", "source"), inverted)


def limits(params: dict[str, Any]) -> Limits:
    return Limits(
        params["max_lag_bytes"],
        params["max_lag_s"],
        params["carried_bytes"],
        params["disk_free_bytes"],
    )


def result(seen: Seen) -> dict[str, Any]:
    """Return what RETURN documents."""
    return {
        "changed": False,
        "summary": seen.summary(),
        "links": seen.links(),
        **seen.figures(),
        "guards": seen.rows(),
        "guards_count": len(seen.guards),
        "blockers_count": len(seen.blockers),
    }


def main() -> None:
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    with reporting(module):
        seen = watch(direction(module.params), limits(module.params), module.params["watch_s"])
        module.exit_json(**result(seen))


if __name__ == "__main__":
    main()
