#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: checkpoint
short_description: Open, set or take back the checkpoint of a stage
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - A checkpoint is the record that a stage's proof was given on a host, with which inputs, by which
    evidence, and on which other checkpoints it builds.
  - A stage is reached if it was set with the same inputs and nothing that it builds on was done
    again since. Then its work can be skipped.
  - An earlier checkpoint is kept as history when the stage is done again.
  - Runs on the control node, in Ansible's own process. M(landbridge.migration.run) comes before.
extends_documentation_fragment: [landbridge.migration.journal]
options:
  stage:
    description: Name of the stage.
    type: str
    required: true
  state:
    description:
      - V(open) tells whether the stage is reached, and notes the start if it is not; what there is
        nothing to do for is said in a line. Fails, naming
        the command that helps, if a checkpoint in O(requires) is missing or stale.
      - V(set) records the stage's proof. Without O(inputs) and O(requires) those of this run's
        V(open) are taken.
      - V(clear) takes the checkpoint back, so that all that builds on it is stale.
    type: str
    choices: [open, set, clear]
    required: true
  host:
    description: Host of the inventory that the checkpoint is for. Defaults to the task's host.
    type: str
  requires:
    description:
      - Checkpoints that must hold before. A name is that stage on the same host. A dict has
        C(stage) and C(hosts).
    type: list
    elements: raw
  inputs:
    description:
      - What the stage's outcome depends on. Only a hash of each value is kept. Keys that name a
        password, a token or a private key are left out.
    type: dict
  evidence:
    description: The proof, small and without secrets. Keys that name a secret are left out.
    type: dict
    default: {}
  redo:
    description: Open the stage although it is reached. What this very run did is not done again.
    type: bool
    default: false
  not_after:
    description:
      - Stage that, once reached on the host, keeps this one from being done again. V(open) then
        fails unless this one is reached, too.
    type: str
  reason:
    description: Why O(state=clear) takes the checkpoint back.
    type: str
    default: asked for
attributes:
  check_mode:
    support: full
    description: Reads and writes nothing. Checkpoints that are missing are named and do not fail.
  diff_mode: {support: none, description: There is nothing to compare.}
  action: {support: full, description: Has a corresponding action plugin and runs no module.}
"""

EXAMPLES = r"""
- name: Open the checkpoint
  landbridge.migration.checkpoint:
    stage: dataxfer
    state: open
    migration: acme
    home: .landbridge/acme
    journal: {host: pg.new.example, user: admin}
    requires:
      - preflight
      - {stage: window, hosts: [old_postgres]}
    inputs: {database: shop, role_map: {app: shop_app}}
    redo: "{{ landbridge_redo | default('') == 'dataxfer' }}"
  register: checkpoint

- name: Set the checkpoint
  landbridge.migration.checkpoint:
    stage: dataxfer
    state: set
    migration: acme
    home: .landbridge/acme
    journal: {host: pg.new.example, user: admin}
    evidence: {rows: 336776}
  when: not checkpoint.reached

- name: Take the checkpoint back
  landbridge.migration.checkpoint:
    stage: window
    state: clear
    host: old_postgres
    migration: acme
    home: .landbridge/acme
    journal: {host: pg.new.example, user: admin}
    reason: rolled back
"""

RETURN = r"""
reached:
  description: Whether the stage's work can be skipped.
  returned: O(state=open)
  type: bool
  sample: true
waits:
  description: Whether a stage it builds on is missing. Only in check mode, else that fails.
  returned: O(state=open)
  type: bool
  sample: false
msg:
  description: Why, in a sentence.
  returned: always
  type: str
  sample: >-
    dataxfer was reached at 2026-05-04T21:04:11.020Z with the same inputs;
    -e landbridge_redo=dataxfer does it again
checkpoint:
  description: The checkpoint. In check mode the one that would be set.
  returned: when the stage is reached or set
  type: dict
  sample:
    stage: dataxfer
    host: shop
    digest: 9b6c…
    fingerprint: 51aa…
    inputs: {database: 77de…}
    requires: [{stage: window, host: old_postgres, digest: 0c1d…}]
    evidence: {rows: 336776}
    run_id: 6f2f1f4e-4f0c-5f43-8f3e-7a3f6b6f0c11
    started: "2026-05-04T21:00:00.000Z"
    finished: "2026-05-04T21:04:11.020Z"
    elapsed_s: 251.02
landbridge:
  description: The same for the report, C(checkpoint).
  returned: success
  type: dict
  sample: {checkpoint: {stage: dataxfer, host: shop}}
"""
