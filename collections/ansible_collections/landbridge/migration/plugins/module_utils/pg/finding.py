# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a person must know or do and a module cannot, named beside what it did."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["blocker", "warning", "note"]


class Finding(NamedTuple):
    """One finding.

    :param code: a stable word, listed in the reference.
    :param object: what it is about, such as ``role shop_owner``.
    :param remedy: what to do about it.
    """

    code: str
    severity: Severity
    object: str
    message: str
    remedy: str
