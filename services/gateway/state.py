"""What the routes share."""

from __future__ import annotations

from litestar.di import NamedDependency

from contracts.calls import AnswerT, Call, RequestT
from runtime.bus import Bus
from runtime.health import Health
from runtime.log_writer import LogWriter
from runtime.rpc import call
from services.gateway.auth import Keys
from services.gateway.live import Live
from services.gateway.metering import Metering
from services.gateway.settings import GatewaySettings


class Gateway:
    """Built once, in `__main__`."""

    def __init__(
        self,
        *,
        settings: GatewaySettings,
        bus: Bus,
        writer: LogWriter,
        keys: Keys,
        live: Live,
        health: Health,
    ) -> None:
        self.settings = settings
        self.bus = bus
        self.writer = writer
        self.keys = keys
        self.live = live
        self.health = health
        self.metering = Metering()

    async def ask(self, what: Call[RequestT, AnswerT], request: RequestT) -> AnswerT:
        """The answer of another service; raises its failure."""
        return await call(self.bus, what, request)


Backend = NamedDependency[Gateway]
"""How a route asks for it: `gateway: Backend`."""
