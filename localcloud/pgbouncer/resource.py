"""One pooler of a cloud, and what may be asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..certificates import Authority
from ..resource import Resource
from .record import PoolerRecord
from .server import PgBouncer


class PoolerResource(Resource[PoolerRecord]):
    """One pooler."""

    def __init__(
        self,
        record: PoolerRecord,
        path: Path,
        authority: Authority,
        *,
        deleted: Callable[[PoolerRecord], None],
    ) -> None:
        self.pooler = PgBouncer(path.with_suffix(""), record.configuration(), authority)
        super().__init__(record, path, self.pooler, deleted)

    def told(self) -> dict[str, Any]:
        with self._lock:
            return self.record.told(self.pooler.authority.pem, str(self.pooler.ini))

    def keep(self, passwords: Mapping[str, str]) -> None:
        """Keep the passwords where only the pooler reads them."""
        self.pooler.write_users(passwords)

    def _create(self, _: str) -> None:
        self.pooler.create()
        with self._lock:
            self.record.made = True
            self._save()
