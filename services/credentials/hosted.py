"""The port to the hosted broker: what it must be told that the REGISTRY does not say.

Whoever issues a password (issue, rotate, bulk) calls `admit` with it after the event stands in the log, also
when a retried command only repeats its answer; everything else a broker follows from the directory's state.
"""

from __future__ import annotations

from typing import Protocol


class HostedBroker(Protocol):
    async def admit(self, credential: str, password: str) -> None:
        """Returns when a device may connect with this password; never fails: what must wait is done later."""


class AskingBroker:
    """nats-server: it asks at every connect, so there is no copy to keep."""

    async def admit(self, credential: str, password: str) -> None:
        """Nothing to do."""
