# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a copy's epochs come to when the target serves: nothing is applied to it any more.

The link of a way back is one, whatever there was before: should the target follow again, all its
tables are of the first epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..clone import queue
from ..finding import Finding
from . import keys

if TYPE_CHECKING:
    from psycopg import Connection

ONE_EPOCH = "UPDATE landbridge.epoch SET number = 1 WHERE number <> 1"


def settle(target: Connection) -> list[Finding]:
    """Validate the keys that are left, and let all tables be of one epoch."""
    record = queue.read(target)
    if record is None or not record.live:
        return []
    dirty = keys.validate(target, crossed=True)
    target.execute(ONE_EPOCH)
    return [Finding(f.code, "warning", f.object, f.message, f.remedy) for f in dirty]
