# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stands between applications and their database, and can hold them for a moment.

A crossing uses four verbs. Each may be said in any state that is found, again and again:

    pause    new transactions wait; return once those under way have ended
    switch   let the name stand for a database elsewhere
    resume   those that wait go on
    read     what is so now

The order is the safety. The source is fenced while paused, the target opened before the switch, so
whoever gets past a pooler that restarted, and thereby forgot its pause, meets the fence: an error,
never a write to the wrong side. A process that is killed after `pause` leaves clients waiting;
`read` says so to the next one, which goes on or resumes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ..pg.finding import Finding


@dataclass(frozen=True, slots=True)
class Route:
    """Where a name at the pooler leads. With no pooler, ``host`` is empty.

    :param dbname: the database's own name there.
    :param paused: new transactions wait.
    """

    host: str
    port: int
    dbname: str
    paused: bool

    def leads_to(self, host: str, port: int, dbname: str) -> bool:
        return (self.host, self.port, self.dbname) == (host, port, dbname)


NOWHERE = Route("", 0, "", paused=False)


class Pooler(Protocol):
    """One pooler. ``dbname`` is the name that applications ask it for.

    Raise PostgresError, retryable, if it cannot be asked, PreconditionError if it does not know
    the name.
    """

    def read(self, dbname: str) -> Route:
        """Return where the name leads."""

    def findings(self, dbname: str, pause_s: float) -> list[Finding]:
        """Return what of its settings stands in the way of a pause of up to ``pause_s``."""

    def prepare(self, dbname: str, host: str, port: int, target_dbname: str) -> None:
        """Do, before anyone waits, what of a switch can be done: it changes nothing yet."""

    def pause(self, dbname: str, timeout_s: float) -> None:
        """Hold new transactions; return once those under way have ended.

        Raise DeadlineError, everyone going on as before, if they have not within ``timeout_s``.
        After any other error it may be paused or not: read.
        """

    def switch(self, dbname: str, host: str, port: int, target_dbname: str) -> None:
        """Let the name stand for another database, from the next transaction on."""

    def resume(self, dbname: str) -> None:
        """Let those that wait go on."""

    def settle(self, dbname: str) -> None:
        """Do, after everyone goes on, what of a switch nobody needs to wait for."""
