# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run pg_follow and show its progress while it works."""

from __future__ import annotations

from ..plugin_utils.progress_action import ProgressAction


class ActionModule(ProgressAction):
    module = "landbridge.migration.pg_follow"
