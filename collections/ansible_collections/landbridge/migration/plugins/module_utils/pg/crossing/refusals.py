# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the servers' scripts raise, by SQLSTATE, in our terms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import DeadlineError, LandbridgeError, PostgresError, PreconditionError
from ..follow import canary
from .request import Limits
from .statements import NOT_EXPELLED, PASSAGE, PREPARED


@contextmanager
def told(limits: Limits) -> Iterator[None]:
    """Raise what a script's own SQLSTATE means, if the block raises one."""
    try:
        yield
    except PostgresError as error:
        if (found := meant(error, limits)) is not None:
            raise found from error
        raise


def meant(error: PostgresError, limits: Limits) -> LandbridgeError | None:
    """Return the error that a SQLSTATE of ours stands for, or None if it is the server's."""
    if error.sqlstate == canary.LATE:
        return canary.late(limits.drain_s)
    if error.sqlstate == NOT_EXPELLED:
        return DeadlineError(
            f"sessions did not end within {limits.drain_s:g} s of the fence: {error}",
            retryable=True,
            hint="End them, then run again.",
        )
    if error.sqlstate == PASSAGE:
        return PreconditionError(
            f"the fence cannot hold, these roles may connect as members of a role kept: {error}",
            hint="Take that membership from them, or name them in keep if they only read.",
        )
    if error.sqlstate == PREPARED:
        return PreconditionError(
            f"prepared transactions are left: {error}",
            hint="COMMIT PREPARED or ROLLBACK PREPARED each of them, then run again.",
        )
    return None
