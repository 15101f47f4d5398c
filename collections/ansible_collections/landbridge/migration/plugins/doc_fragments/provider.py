# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options every module asking a provider about a Postgres server shares."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements: ["psycopg[binary] >= 3.2"]
options:
  provider:
    description:
      - Who runs the server. V(local) is a local cloud, V(existing) any server that something else
        made, which is only looked at.
    type: str
    required: true
  name:
    description: The server's name at its provider. For V(existing) it only names it in messages.
    type: str
    required: true
  admin_user:
    description: The administrator's role. Required if O(provider=existing).
    type: str
  admin_password:
    description: >-
      Password of O(admin_user). Falls back to the environment variable
      E(LANDBRIDGE_ADMIN_PASSWORD).
    type: str
  settings:
    description: What only this provider needs.
    type: dict
    suboptions:
      cloud: {type: str, description: "Provider V(local): the cloud's name."}
      api:
        description: "Provider V(local): the file in which the cloud's daemon wrote its address."
        type: path
      host: {type: str, description: "Provider V(existing): host name or address."}
      port: {type: int, default: 5432, description: "Provider V(existing): TCP port."}
      dbname: {type: str, default: postgres, description: "Provider V(existing): a database."}
      sslmode:
        description: "Provider V(existing): how the server's certificate is checked."
        type: str
        default: verify-full
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
      sslrootcert:
        description: "Provider V(existing): file with the certificate authorities to trust."
        type: path
  timeout:
    description: Seconds within which all of it must be done, waiting and repeating included.
    type: int
    default: 1800
"""
