"""All that both clouds keep running. Servers come first and go last: the others need them."""

from __future__ import annotations

from .home import Home
from .kubernetes.registry import Clusters
from .pgbouncer.registry import Poolers
from .postgres.registry import Servers


class Clouds:
    """Both clouds of one folder."""

    def __init__(self, home: Home) -> None:
        self.servers = Servers(home)
        self.poolers = Poolers(home)
        self.clusters = Clusters(home)

    def begin(self) -> None:
        """Take up what there is: what runs is kept, the rest started."""
        self.servers.begin()
        self.poolers.begin()
        self.clusters.begin()

    def stop(self) -> None:
        """Stop everything, and return when it is gone."""
        self.clusters.stop()
        self.poolers.stop()
        self.servers.stop()
