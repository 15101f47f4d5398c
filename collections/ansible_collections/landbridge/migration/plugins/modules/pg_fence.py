#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_fence
short_description: Keep every writer away from a database, or let them in again
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Fencing takes C(CONNECT) from every role but those kept, ends the sessions that are left and
    waits until they are gone. Transactions in flight roll back.
  - The privileges that were are kept in the database's comment, written in the same transaction,
    and return with O(state=open).
  - Superusers pass every fence. Their names are in C(evidence.superusers); a session of theirs
    that does not end fails the module.
extends_documentation_fragment: [landbridge.migration.pg_server]
options:
  state:
    description: Whether writers are kept away or let in.
    type: str
    default: fenced
    choices: [fenced, open]
  keep:
    description: Roles that may connect through the fence, besides the one connecting here.
    type: list
    elements: str
    default: []
  like:
    description:
      - The database whose privileges this one gets when it is opened, as they were before its own
        fence. With O(state=fenced) they are kept for that moment. Without it, the privileges
        return that this database had.
      - Option names are libpq's connection keywords.
    type: dict
    suboptions:
      host: {type: str, required: true, description: Host name or address.}
      port: {type: int, default: 5432, description: TCP port.}
      dbname: {type: str, required: true, description: Database name.}
      user: {type: str, required: true, description: Role to connect as.}
      password:
        description: >-
          Password of O(like.user). Falls back to the environment variable
          E(LANDBRIDGE_LIKE_PASSWORD).
        type: str
      sslmode:
        description: How the server's certificate is checked.
        type: str
        default: verify-full
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
      sslrootcert: {type: path, description: File with the certificate authorities to trust.}
  role_map:
    description: Names of O(like)'s roles on this server; a role mapped to null is left out.
    type: dict
    default: {}
  note:
    description: Kept with a fence put up now and returned in C(evidence.note).
    type: str
  timeout:
    description: Seconds that ending the sessions may take.
    type: int
    default: 60
attributes:
  check_mode: {support: full, description: Reports the privileges due to change.}
  diff_mode: {support: full, description: Shows the statements.}
"""

EXAMPLES = r"""
- name: Keep writers away from the old shop
  landbridge.migration.pg_fence:
    server: {host: pg.old.example, dbname: shop, user: migrator}

- name: Open the new shop to those who could use the old one
  landbridge.migration.pg_fence:
    server: {host: pg.new.example, dbname: shop, user: migrator}
    state: open
    like: {host: pg.old.example, dbname: shop, user: migrator}
"""

RETURN = r"""
changes:
  description: Privileges granted and revoked, or due to be in check mode.
  returned: success
  type: list
  elements: str
  sample: [GRANT CONNECT TO migrator, REVOKE CONNECT FROM PUBLIC]
changes_count:
  description: How many privileges changed, or are due to.
  returned: success
  type: int
  sample: 2
evidence:
  description: What proves the state; only C(fenced), C(since), C(note) if open or in check mode.
  returned: success
  type: dict
  sample:
    fenced: true
    since: "2026-03-01T02:00:04Z"
    note: null
    may_connect: [migrator]
    superusers: [postgres]
    sessions_terminated: 8
    sessions: 0
    prepared_transactions: 0
    barrier_lsn: 0/1A2B3C8
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.connection import connect, server_spec
from ..module_utils.pg.fence import access, fence
from ..module_utils.waiting import Deadline

REPORTED = 100  # results over 700,000 characters are dropped by ansible-runner


def model(params: dict[str, Any]) -> access.Record | None:
    """Return the privileges that O(like) had, in this server's role names."""
    if params["like"] is None:
        return None
    with connect("like", params["like"]) as conn:
        before = access.read(conn).before
    return access.admitting(access.mapped(before, params["role_map"]), params["server"]["user"])


def converge(params: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Fence or open the database; return changes and evidence."""
    like = model(params)
    with connect("server", params["server"]) as conn:
        if params["state"] == "open":
            return fence.converge_open(conn, like, check_mode=check_mode)
        return fence.converge_fenced(
            conn,
            params["keep"],
            Deadline(params["timeout"]),
            check_mode=check_mode,
            returning=like,
            note=params["note"],
        )


def main() -> None:
    like = {**server_spec("like"), "required": False}
    module = AnsibleModule(
        argument_spec={
            "server": server_spec("server"),
            "state": {"type": "str", "default": "fenced", "choices": ["fenced", "open"]},
            "keep": {"type": "list", "elements": "str", "default": []},
            "like": like,
            "role_map": {"type": "dict", "default": {}},
            "note": {"type": "str"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    with reporting(module):
        done = converge(module.params, check_mode=module.check_mode)
        changes = [str(change) for change in done["changes"]]
        module.exit_json(
            changed=done["due"],
            changes=changes[:REPORTED],
            changes_count=len(changes),
            evidence=done["evidence"],
            diff={"prepared": "".join(f"{change};\n" for change in changes)},
        )


if __name__ == "__main__":
    main()
