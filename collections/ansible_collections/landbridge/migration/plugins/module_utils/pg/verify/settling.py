# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Is a row that differed only in flight? Decided from four looks at it, without guessing.

The target is looked at, then the source, then one waits until the target has passed what the
source showed, then both are looked at again, the target first. What the target shows by then is
the source as it was at some moment between the source's two looks, if nothing is wrong. So

- a row that was on the source all that time must be on the target;
- a row that was on the target all the time between its two looks, the source's first among them,
  must be on the source.

Equal contents at two looks prove no "all that time": a flag that goes on and off shows the same
again. A row's place and the transaction that wrote it (ctid, xmin) do: no later version of any row
has both. Nothing is said of a row that changed meanwhile, and nothing follows from its absence.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Verdict: TypeAlias = Literal["equal", "differs", "moving"]


class Seen(NamedTuple):
    """The rows of a key (one, if the key holds) or, in a table without a key, those alike.

    :param copies: how many; 0 if there is none.
    :param digest: of what they hold.
    :param versions: which versions they are: alike only if nothing touched them.
    :param columns: digests of each column, for telling those that differ.
    :param ctid: where the first is.
    """

    copies: int = 0
    digest: bytes = b""
    versions: bytes = b""
    columns: tuple[str | None, ...] = ()
    ctid: str = ""

    @property
    def content(self) -> tuple[int, bytes]:
        return (self.copies, self.digest)


NONE = Seen()


class Looks(NamedTuple):
    """What was seen of a key, in the order of looking."""

    target_before: Seen
    source: Seen
    target: Seen
    source_after: Seen


def decide(looks: Looks) -> Verdict:
    """Return whether a row is the same on both sides, differs, or was not at rest."""
    source, target = looks.source, looks.target
    if target.content in (source.content, looks.source_after.content):
        return "equal"
    other = bool(source.copies and target.copies) and source.digest != target.digest
    if _lasted(source, looks.source_after) and (other or target.copies < source.copies):
        return "differs"
    if _lasted(looks.target_before, target) and (other or target.copies > source.copies):
        return "differs"
    return "moving"


def _lasted(first: Seen, second: Seen) -> bool:
    return first.copies > 0 and first.versions == second.versions
