#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_database
short_description: Make a target's database like the source's, with its extensions
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description:
  - Creates the database with the source's encoding, collation, ctype, locale provider and owner,
    from C(template0), and takes CONNECT from PUBLIC as it does so. What becomes of the privilege
    later is not this module's.
  - Creates the source's extensions in the same schemas, at the target's default version, and
    compares the versions. Copies nothing else.
  - A database that exists is left as it is, but for its owner and extensions. One that differs
    in what is fixed for ever is refused.
extends_documentation_fragment: [landbridge.migration.pg_server]
attributes:
  check_mode: {support: full, description: Reports the changes due and makes none.}
  diff_mode: {support: full, description: Shows what is created.}
options:
  name:
    description: The database's name.
    type: str
    required: true
  source:
    description: The source's database, to be like. Option names are libpq's connection keywords.
    type: dict
    suboptions:
      host: {type: str, required: true, description: Host name or address.}
      port: {type: int, default: 5432, description: TCP port.}
      dbname: {type: str, required: true, description: Database name.}
      user: {type: str, required: true, description: Role to connect as.}
      password:
        description: >-
          Password of O(source.user). Falls back to the environment variable
          E(LANDBRIDGE_SOURCE_PASSWORD).
        type: str
      sslmode:
        description: How the server's certificate is checked.
        type: str
        default: verify-full
        choices: [disable, allow, prefer, require, verify-ca, verify-full]
      sslrootcert: {type: path, description: File with the certificate authorities to trust.}
  owner:
    description: The owner. By default the source's, through O(role_map).
    type: str
  role_map:
    description:
      - Name on the target by name on the source. Others keep their name.
      - O(source.user) is O(server.user) unless named here, and an owner mapped to null is, too.
    type: dict
    default: {}
  encoding:
    description: The encoding, such as C(UTF8). By default the source's, as with those below.
    type: str
  lc_collate:
    description: Collation order of the operating system.
    type: str
  lc_ctype:
    description: Character classification of the operating system.
    type: str
  locale_provider:
    description: Who provides collation. V(icu) needs version 15, V(builtin) version 17.
    type: str
    choices: [libc, icu, builtin]
  locale:
    description: The provider's locale, for V(icu) and V(builtin).
    type: str
  icu_rules:
    description: Additional rules of collation, for V(icu).
    type: str
  extensions:
    description: Extensions to create. By default all of the source's.
    type: list
    elements: str
seealso:
  - module: landbridge.migration.pg_roles
"""

EXAMPLES = r"""
- name: Make shop on the target as it is on the source
  landbridge.migration.pg_database:
    server: {host: pg.new.example, dbname: postgres, user: new_admin}
    source: {host: pg.old.example, dbname: shop, user: old_admin}
    name: shop
"""

RETURN = r"""
database:
  description: The database's properties.
  returned: success
  type: dict
  sample:
    name: shop
    owner: shop_owner
    encoding: UTF8
    lc_collate: C.UTF-8
    lc_ctype: C.UTF-8
    locale_provider: libc
    locale: null
    icu_rules: null
extensions:
  description: The extensions wanted, with the source's and the target's version. The first 100.
  returned: success
  type: list
  elements: dict
  sample: [{name: pg_trgm, source_version: "1.6", version: "1.6"}]
extensions_count:
  description: How many extensions are wanted.
  returned: success
  type: int
  sample: 1
changes:
  description: What changed, or is due to in check mode. The first 100.
  returned: success
  type: list
  elements: dict
  sample:
    - name: database
      before: null
      after: {owner: shop_owner, encoding: UTF8, lc_collate: C.UTF-8, lc_ctype: C.UTF-8}
    - {name: CONNECT of PUBLIC, before: true, after: false}
    - {name: extension pg_trgm, before: null, after: {version: "1.6", schema: public}}
changes_count:
  description: How many changes were made, or are due.
  returned: success
  type: int
  sample: 3
findings:
  description: What a person should know. The first 100.
  returned: success
  type: list
  elements: dict
  sample:
    - code: extension_version
      severity: note
      object: extension pg_trgm
      message: pg_trgm of database shop is 1.5 on the source and 1.6 on the target
      remedy: None, unless its release notes tell of an incompatibility.
findings_count:
  description: How many findings there are.
  returned: success
  type: int
  sample: 1
evidence:
  description: The database and its extensions, for a checkpoint.
  returned: success
  type: dict
  sample: {name: shop, owner: shop_owner, encoding: UTF8, extensions: {pg_trgm: "1.6"}}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.errors import reporting
from ..module_utils.pg.connection import server_spec
from ..module_utils.pg.database.database import FIXED
from ..module_utils.pg.database.target_database import Outcome, converge

REPORTED = 100  # results over 700,000 characters are dropped by ansible-runner

SPEC = {
    "server": server_spec("server"),
    "name": {"type": "str", "required": True},
    "source": {**server_spec("source"), "required": False},
    "owner": {"type": "str"},
    "role_map": {"type": "dict", "default": {}},
    "encoding": {"type": "str"},
    "lc_collate": {"type": "str"},
    "lc_ctype": {"type": "str"},
    "locale_provider": {"type": "str", "choices": ["libc", "icu", "builtin"]},
    "locale": {"type": "str"},
    "icu_rules": {"type": "str"},
    "extensions": {"type": "list", "elements": "str"},
}


def result(outcome: Outcome) -> dict[str, Any]:
    """Return what RETURN documents, plus the diff."""
    made, changes = outcome.database, outcome.changes[:REPORTED]
    told = {"name": made.datname, **{name: getattr(made, name) for name in ("owner", *FIXED)}}
    extensions = outcome.extensions[:REPORTED]
    return {
        "changed": bool(outcome.changes),
        "database": told,
        "extensions": extensions,
        "extensions_count": len(outcome.extensions),
        "changes": changes,
        "changes_count": len(outcome.changes),
        "findings": [finding._asdict() for finding in outcome.findings[:REPORTED]],
        "findings_count": len(outcome.findings),
        "evidence": {
            **told,
            "extensions": {each["name"]: each["version"] for each in extensions},
            "findings_count": len(outcome.findings),
        },
        "diff": {side: {c["name"]: c[side] for c in changes} for side in ("before", "after")},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    with reporting(module):
        module.exit_json(**result(converge(module.params, check_mode=module.check_mode)))


if __name__ == "__main__":
    main()
