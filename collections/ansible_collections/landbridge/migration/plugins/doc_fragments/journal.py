# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options every action that reads or writes the journal shares."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements: ["psycopg[binary] >= 3.2"]
options:
  migration:
    description: Name of the migration. One journal holds many.
    type: str
    required: true
  journal:
    description:
      - Server and database of the journal. Option names are libpq's connection keywords.
      - Without it, without a host, or while the database does not exist, records are kept in
        C(pending.json) under O(home) and brought into the journal as soon as it is there.
      - Must be the server itself or a session pooler. The lease is a session's lock.
    type: dict
    suboptions:
      host: {type: str, description: Host name or address. Empty while there is no server yet.}
      port: {type: int, default: 5432, description: TCP port.}
      dbname: {type: str, default: landbridge, description: Database name.}
      user: {type: str, description: "Role to connect as. It owns the journal, and needs no more."}
      password:
        description: >-
          Password of O(journal.user). Falls back to the environment variable
          E(LANDBRIDGE_JOURNAL_PASSWORD).
        type: str
      sslmode:
        description: How the server's certificate is checked.
        type: str
        default: verify-full
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
      sslrootcert: {type: path, description: File with the certificate authorities to trust.}
  home:
    description: Folder of this migration on the control node. It is made if it is missing.
    type: path
    required: true
"""
