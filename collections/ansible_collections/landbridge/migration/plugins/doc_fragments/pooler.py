# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options every module that holds or moves applications at their pooler shares."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements: ["psycopg[binary] >= 3.2"]
options:
  pooler:
    description: The pooler that stands between applications and their database.
    type: dict
    suboptions:
      kind:
        description:
          - V(pgbouncer) is a PgBouncer of its own, steered by its admin console and its file.
          - V(none) says that there is none, and that applications are pointed elsewhere by hooks.
        type: str
        default: pgbouncer
        choices: [pgbouncer, none]
      host: {type: str, description: Host name or address of the admin console.}
      port: {type: int, default: 6432, description: TCP port.}
      dbname: {type: str, default: pgbouncer, description: The admin console's database.}
      user: {type: str, description: "One of PgBouncer's C(admin_users)."}
      password:
        description: >-
          Password of O(pooler.user). Falls back to the environment variable
          E(LANDBRIDGE_POOLER_PASSWORD).
        type: str
      sslmode:
        description: How the pooler's certificate is checked.
        type: str
        default: verify-full
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
      sslrootcert: {type: path, description: File with the certificate authorities to trust.}
      config_file:
        description:
          - PgBouncer's file, or the one it includes, that has the database's line, as the control
            node reaches it. Needed to let a database lead elsewhere.
        type: path
      database:
        description: >-
          The name under which applications ask the pooler for the database, if it is not the
          database's own.
        type: str
"""
