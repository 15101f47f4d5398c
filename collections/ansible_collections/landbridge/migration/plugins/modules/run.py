#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: run
short_description: Begin a run of a migration, hold its lease, and read the journal
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Begins a run. It takes the migration's lease, makes or updates the journal's tables, and returns
    what the journal holds.
  - The lease is held by a process of its own until the C(ansible-playbook) that asked for it ends,
    however it ends. A second run is refused with the name of the first. If the control node
    vanishes, the server lets the lease go within about a minute. If the server is started again in
    mid-run, the lease is taken again.
  - While the journal's database does not exist, a lock file under O(home) is the lease, and keeps
    runs on the same control node apart.
  - In check mode nothing is written, no lease is taken, and O(state=open) acts as O(state=info).
  - Runs on the control node, in Ansible's own process. Use it once in a play (C(run_once)).
extends_documentation_fragment: [landbridge.migration.journal]
options:
  state:
    description:
      - V(open) begins the run, and again does nothing. Call it again with O(create=true) as soon as
        the server is there.
      - V(close) ends the run and lets the lease go. Without it both happen when
        C(ansible-playbook) ends.
      - V(info) reads.
      - V(answer) records O(answers).
    type: str
    choices: [open, close, info, answer]
    default: open
  kind:
    description: What the run is for.
    type: str
    choices: [migration, rehearsal, rollback, finalize]
    default: migration
  create:
    description: Create the journal's database if it is missing. Needs the right C(CREATEDB).
    type: bool
    default: false
  description:
    description: Description of the migration, kept when it is first seen.
    type: str
    default: ''
  rehearsal_of:
    description: Name of the migration that this one rehearses. Its snapshot shows these timings.
    type: str
  outcome:
    description: How the run ended, for O(state=close).
    type: str
    choices: [finished, failed]
    default: finished
  answers:
    description:
      - Answers to items of the checklist, for O(state=answer). Each has an C(id), an C(answer)
        (yes or no), and optionally C(how) (C(person), C(sql), C(http) or C(command)), C(text) (the
        item's text), C(note) and C(evidence) (a small dict).
      - An answer that was given before changes nothing.
    type: list
    elements: dict
    default: []
attributes:
  check_mode: {support: full, description: Reads and writes nothing.}
  diff_mode: {support: none, description: There is nothing to compare.}
  action: {support: full, description: Has a corresponding action plugin and runs no module.}
"""

EXAMPLES = r"""
- name: Begin the run
  landbridge.migration.run:
    migration: acme
    home: .landbridge/acme
    journal: {host: pg.new.example, user: admin}
  run_once: true
  register: run

- name: Begin it in the journal, which can be created by now
  landbridge.migration.run:
    migration: acme
    home: .landbridge/acme
    journal: {host: pg.new.example, user: admin}
    create: true
  run_once: true

- name: Record what a check of the checklist found
  landbridge.migration.run:
    state: answer
    migration: acme
    home: .landbridge/acme
    journal: {host: pg.new.example, user: admin}
    answers:
      - {id: backup_taken, answer: true, how: sql, evidence: {backups: 3}}
"""

RETURN = r"""
msg:
  description: What the journal holds, and who holds the lease if another run does.
  returned: always
  type: str
  sample: journal present, 14 checkpoints
journal:
  description: Whether the journal exists, C(present) or C(absent).
  returned: O(state=open) and O(state=info)
  type: str
  sample: present
migration:
  description: Name of the migration.
  returned: O(state=open) and O(state=info)
  type: str
  sample: acme
description:
  description: Description of the migration.
  returned: O(state=open) and O(state=info)
  type: str
  sample: From one cloud to the other
run_id:
  description: This run. Every task of one C(ansible-playbook) process has the same.
  returned: O(state=open) and O(state=info)
  type: str
  sample: 6f2f1f4e-4f0c-5f43-8f3e-7a3f6b6f0c11
lease:
  description: State of the lease (C(mine), C(held) or C(free)), and who holds it.
  returned: O(state=open) and O(state=info)
  type: dict
  sample: {state: mine, username: ops, hostname: control, pid: 4711}
checkpoints:
  description:
    - The checkpoints reached. C(stale) says why one no longer holds, and is empty if it does.
    - Evidence beyond 200,000 characters in all is left out, and C(evidence_left_out) says so.
  returned: O(state=open) and O(state=info)
  type: list
  elements: dict
  sample:
    - stage: window
      host: old_postgres
      digest: 9b6c…
      fingerprint: 51aa…
      inputs: {mode: 77de…}
      requires: [{stage: preflight, host: shop, digest: 0c1d…}]
      evidence: {sessions: 0}
      run_id: 6f2f1f4e-4f0c-5f43-8f3e-7a3f6b6f0c11
      started: "2026-05-04T21:00:00.000Z"
      finished: "2026-05-04T21:00:02.500Z"
      elapsed_s: 2.5
      stale: ''
history:
  description: The last 100 checkpoints that were done again or taken back.
  returned: O(state=open) and O(state=info)
  type: list
  elements: dict
  sample: []
answers:
  description: The last answer to each item of the checklist.
  returned: O(state=open) and O(state=info)
  type: list
  elements: dict
  sample: []
decisions:
  description: The last 50 decisions at the gate, the latest first.
  returned: O(state=open) and O(state=info)
  type: list
  elements: dict
  sample: []
runs:
  description: The last 20 runs, the latest first, each with its C(state).
  returned: O(state=open) and O(state=info)
  type: list
  elements: dict
  sample: []
timings:
  description: The last 300 times that a stage took, of this migration and its rehearsals.
  returned: O(state=open) and O(state=info)
  type: list
  elements: dict
  sample: []
landbridge:
  description: The same for the report, C(home), C(migration) and C(snapshot).
  returned: always
  type: dict
  sample: {home: .landbridge/acme, migration: acme, snapshot: {}}
"""
