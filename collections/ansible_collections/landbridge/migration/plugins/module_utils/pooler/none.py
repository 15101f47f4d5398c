# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No pooler: applications find their database by themselves, and hooks repoint them."""

from __future__ import annotations

from ..pg.finding import Finding
from .pooler import NOWHERE, Route


class NoPooler:
    """Holds nobody; see pooler.Pooler."""

    def read(self, dbname: str) -> Route:
        return NOWHERE

    def findings(self, dbname: str, pause_s: float) -> list[Finding]:
        return []

    def prepare(self, dbname: str, host: str, port: int, target_dbname: str) -> None:
        pass

    def pause(self, dbname: str, timeout_s: float) -> None:
        pass

    def switch(self, dbname: str, host: str, port: int, target_dbname: str) -> None:
        pass

    def resume(self, dbname: str) -> None:
        pass

    def settle(self, dbname: str) -> None:
        pass
