# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filter ``described``: what a server's host says it must be."""

from __future__ import annotations

DOCUMENTATION = r"""
name: described
short_description: What a host of the inventory says that its server must be
version_added: 0.1.0
author: Landbridge contributors (@landbridge)
description: Provider, version, parameters and the like. Neither addresses nor secrets.
options:
  _input: {description: Variables of a server's host., type: dict, required: true}
"""

EXAMPLES = r"""
- name: Show what the new server must be
  ansible.builtin.debug:
    msg: "{{ hostvars['new_postgres'] | landbridge.migration.described }}"
"""

RETURN = r"""
_value:
  description: The description, by variable.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ..plugin_utils.inventory import described


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by name."""
        return {"described": described}
