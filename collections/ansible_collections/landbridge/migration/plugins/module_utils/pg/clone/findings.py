# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a copy could not carry over, or did in another way than asked."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One thing to know. ``code`` is a stable word; ``remedy`` what the operator may do."""

    code: str
    object: str
    message: str
    remedy: str = ""
    severity: str = "warning"
