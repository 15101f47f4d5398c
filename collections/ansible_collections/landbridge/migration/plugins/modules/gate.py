#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: gate
short_description: Ask for go or no-go on exactly the evidence there is
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Makes a digest of the evidence of all stages before, and of the checklist's answers. Go is given
    to that digest. If anything changes, the digest differs and go is asked for again.
  - Fails while a checkpoint is missing or stale, or an item of the checklist is not answered with
    yes, and names them.
  - Go is never given by silence. Without O(go) it is asked for at the terminal, and without a
    terminal the task fails with what to say. Under ansible-runner and AWX, whose terminal nobody
    reads, it is never asked for.
  - Go that was given to the same digest by an earlier run holds. Every decision is recorded.
  - Runs on the control node, in Ansible's own process, once for all hosts.
extends_documentation_fragment: [landbridge.migration.journal]
options:
  stages:
    description: The stages whose evidence counts. Needed unless O(before) is given.
    type: list
    elements: str
  before:
    description: >-
      A stage. Nothing is decided then: the task fails while an item of the checklist that comes
      before this stage is not answered with yes.
    type: str
  hosts:
    description:
      - The hosts that each stage must have been reached on, a list a stage. A stage that is not
        here counts on every host that has reached it.
    type: dict
    default: {}
  checklist:
    description:
      - The checklist. Each item has an C(id), a C(text), optionally C(before) or C(after) with a
        stage, C(answer) (C(person), C(sql), C(http) or C(command), by default C(person)) and
        C(contingency) (a text, or a dict with C(text) and C(playbook)).
      - Items that come before the crossing count. The gate does not evaluate them.
        M(landbridge.migration.run) with C(state=answer) records what was found.
    type: list
    elements: dict
    default: []
  answers:
    description: Persons' answers by the item's id, yes or no, or a dict with C(answer) and C(note).
    type: dict
    default: {}
  policy:
    description:
      - V(person) wants go from a person or whoever sets O(go).
      - V(evidence) takes complete evidence for go.
    type: str
    choices: [person, evidence]
    default: person
  go:
    description: The digest that go is given to, or V(no), which needs no complete evidence.
    type: str
    default: ''
attributes:
  check_mode:
    support: full
    description: Says what is lacking or would be asked, asks nothing, records nothing, never fails.
  diff_mode: {support: none, description: There is nothing to compare.}
  action: {support: full, description: Has a corresponding action plugin and runs no module.}
  bypass_host_loop: {support: full, description: Runs once for all hosts.}
"""

EXAMPLES = r"""
- name: Ask for go
  landbridge.migration.gate:
    migration: acme
    home: .landbridge/acme
    journal: {host: pg.new.example, user: admin}
    stages: [preflight, window, dataxfer, verify]
    hosts:
      window: [old_postgres]
      verify: [shop, identity]
    checklist:
      - id: support_informed
        text: Support knows about the window
        before: window
      - id: backup_taken
        text: A backup of today exists
        answer: sql
        contingency: {text: Take one and begin again}
    answers: "{{ landbridge_answers | default({}) }}"
    go: "{{ landbridge_go | default('') }}"
"""

RETURN = r"""
decision:
  description: What was decided, C(go), C(no-go), C(asked) (nobody has said either) or empty.
  returned: always
  type: str
  sample: go
digest:
  description: Digest of the evidence. Empty while it is not complete.
  returned: always
  type: str
  sample: 4be1…
msg:
  description: The decision, or what is lacking.
  returned: always
  type: str
  sample: go (variable) to 4be1…
landbridge:
  description: For the report, C(checklist) with its answers, and C(decision) with its parts.
  returned: always
  type: dict
  sample: {checklist: [], decision: {decision: go, how: variable}}
"""
