# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter ``inventory_errors``: what is wrong with an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: inventory_errors
short_description: The mistakes in an inventory, a sentence each
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description: Looks at groups and variables only; connects to nothing.
positional: groups
options:
  _input: {description: C(hostvars)., type: dict, required: true}
  groups: {description: C(groups)., type: dict, required: true}
"""

EXAMPLES = r"""
- name: The inventory says what it must
  ansible.builtin.assert:
    that: (hostvars | landbridge.migration.inventory_errors(groups)) == []
"""

RETURN = r"""
_value:
  description: Mistakes, empty if there are none.
  type: list
  elements: str
"""

from collections.abc import Callable
from typing import Any

from ..plugin_utils.inventory import errors


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"inventory_errors": lambda hostvars, groups: errors(groups, hostvars)}
