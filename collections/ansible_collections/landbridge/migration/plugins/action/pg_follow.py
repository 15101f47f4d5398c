# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs pg_follow in a fork of the worker and shows its progress."""

from __future__ import annotations

from ..modules import pg_follow
from ..plugin_utils.progress_action import ProgressAction


class ActionModule(ProgressAction):
    module = pg_follow
