"""Open ingest streams of this process: bounded in all, and for each organization."""

from __future__ import annotations

from collections import Counter

from contracts.failures import Refused, Unavailable
from services.gateway.settings import GatewaySettings


class Ingests:
    """How many are open, in all and of each organization."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._open: Counter[str] = Counter()

    def admit(self, organization: str) -> None:
        """Raises Refused("limit.reached"), Unavailable("service.unavailable")."""
        most = self._settings.ingests_per_organization_max
        if self._open[organization] >= most:
            raise Refused("limit.reached", f"an organization may have {most} ingest streams open at once")
        if self._open.total() >= self._settings.ingests_max:
            raise Unavailable("service.unavailable", "too many ingest streams are open; try again")
        self._open[organization] += 1

    def leave(self, organization: str) -> None:
        self._open[organization] -= 1
        if not self._open[organization]:
            del self._open[organization]
