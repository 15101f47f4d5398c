# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parts: the units a copy is done in, what each costs, and which goes first.

A part's rank is its own cost and the longest chain of what waits for it. Taking the highest rank
first starts a table with a slow index before a larger one that has none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ...errors import LandbridgeError

# Kinds of part
COPY = "copy"  # one table, or a range of its pages, through a pipe
BATCH = "batch"  # many small tables in one transaction
OBJECTS = "objects"  # large objects
SQL = "sql"  # statements on the target alone
BARRIER = "barrier"  # nothing but a point that others wait for

MB = 1024 * 1024

# Measured on two cores of 2023: seconds for a MB. What the source's index takes on disk tells
# what building it will take.
COPY_S_PER_MB = 1 / 170
VALIDATE_S_PER_MB = 1 / 800
INDEX_S_PER_MB = {"btree": 0.012, "gin": 0.15, "gist": 0.1, "spgist": 0.1, "hash": 0.02}
BRIN_S_PER_TABLE_MB = 1 / 800
SMALL_TABLE_S = 0.002


@dataclass(frozen=True, slots=True)
class Part:
    """A unit of work, done in one transaction of the target together with its own record.

    :param needs: ids of the parts that must be done before.
    :param label: what it is, for people.
    :param payload: what its kind needs to do it; JSON.
    :param bytes: what the source holds of it.
    :param epoch: the number of the snapshot its rows are of, where there may be several.
    """

    id: str
    kind: str
    label: str
    cost_s: float
    needs: tuple[str, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)
    bytes: int = 0
    phase: str = "copy"
    epoch: int | None = None


def copy_cost_s(size: int) -> float:
    return size / MB * COPY_S_PER_MB


def index_cost_s(amname: str, size: int, table_size: int) -> float:
    """Return the seconds that building an index takes; it reads its table at the least."""
    read_s = table_size / MB * BRIN_S_PER_TABLE_MB
    return read_s + size / MB * INDEX_S_PER_MB.get(amname, 0.05)


def ranks(parts: Iterable[Part]) -> dict[str, float]:
    """Return each part's rank in seconds. Raise LandbridgeError if parts wait for each other.

    A need that is not among ``parts`` was met by an earlier run.
    """
    known = {part.id: part for part in parts}
    waiting: dict[str, list[str]] = defaultdict(list)
    for part in known.values():
        for need in part.needs:
            waiting[need].append(part.id)
    order = TopologicalSorter({each: waiting[each] for each in known})
    found: dict[str, float] = {}
    try:
        for each in order.static_order():
            chain = max((found[later] for later in waiting[each]), default=0.0)
            found[each] = known[each].cost_s + chain
    except CycleError as exc:
        raise LandbridgeError(f"parts wait for each other: {exc.args[1]}") from exc
    return found
