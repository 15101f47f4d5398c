# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter ``pooler``: a host's variables as the option ``pooler`` of our modules."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pooler
short_description: A pooler's options as the modules of this collection take them
version_added: 0.2.0
author: Landbridge contributors (@landbridge)
description: Reads C(pooler_host) and the like from a host's variables.
positional: database
options:
  _input: {description: Variables of a pooler's host., type: dict, required: true}
  database:
    description: What applications ask the pooler for. By default the database's own name.
    type: str
"""

EXAMPLES = r"""
- name: Hold the shop's transactions
  landbridge.migration.pooler:
    pooler: "{{ hostvars['front'] | landbridge.migration.pooler('shop') }}"
    state: paused
"""

RETURN = r"""
_value:
  description: C(kind), C(host), C(port), C(user), C(password), C(config_file), C(database).
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ..plugin_utils.inventory import pooler


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"pooler": pooler}
