# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options every module talking to one Postgres server shares."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements: ["psycopg[binary] >= 3.2"]
options:
  server:
    description: The server and database. Option names are libpq's connection keywords.
    type: dict
    required: true
    suboptions:
      host: {type: str, required: true, description: Host name or address.}
      port: {type: int, default: 5432, description: TCP port.}
      dbname: {type: str, required: true, description: Database name.}
      user: {type: str, required: true, description: Role to connect as.}
      password:
        description: >-
          Password of O(server.user). Falls back to the environment variable
          E(LANDBRIDGE_SERVER_PASSWORD).
        type: str
      sslmode:
        description: How the server's certificate is checked.
        type: str
        default: verify-full
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
      sslrootcert: {type: path, description: File with the certificate authorities to trust.}
"""
