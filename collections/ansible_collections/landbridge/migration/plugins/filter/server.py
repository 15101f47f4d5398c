# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter ``server``: a host's variables as a server dict of our modules."""

from __future__ import annotations

DOCUMENTATION = r"""
name: server
short_description: A server's endpoint as the modules of this collection take it
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description: Reads C(postgres_host) and the like from a host's variables, named as libpq does.
positional: dbname
options:
  _input: {description: Variables of a server's host., type: dict, required: true}
  dbname:
    description: The database to connect to. By default C(postgres_admin_database) or C(postgres).
    type: str
"""

EXAMPLES = r"""
- name: Fence the old shop
  landbridge.migration.pg_fence:
    server: "{{ hostvars['old_postgres'] | landbridge.migration.server('shop') }}"
"""

RETURN = r"""
_value:
  description: C(host), C(port), C(dbname), C(user), C(password), C(sslmode), C(sslrootcert).
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils import inventory


def server(variables: Mapping[str, Any], dbname: str | None = None) -> dict[str, Any]:
    """Return the endpoint; raise AnsibleFilterError if the host has none."""
    try:
        return inventory.server(variables, dbname)
    except ValueError as exc:
        raise AnsibleFilterError(str(exc)) from exc


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"server": server}
