# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs pooler in a fork of the worker."""

from __future__ import annotations

from ..modules import pooler
from ..plugin_utils.module_action import ModuleAction


class ActionModule(ModuleAction):
    module = pooler
