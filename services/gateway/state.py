"""What the routes share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from litestar.di import NamedDependency

from contracts.calls import AnswerT, BulkCall, Call, CallWithSteps, RequestT, StepT
from contracts.failures import Refused, Unavailable
from contracts.integrations import GET_INTEGRATION, GetIntegration
from contracts.links import LinkCall, LinkRequestT
from runtime.bus import Bus
from runtime.health import Health
from runtime.log_writer import LogWriter
from runtime.rpc import call, call_bulk, follow
from services.gateway.auth import Keys
from services.gateway.live.streams import Live
from services.gateway.metering import Metering
from services.gateway.orders import Orders
from services.gateway.places import Places
from services.gateway.sessions import Sessions
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
        self.orders = Orders(bus)
        self.sessions = Sessions(settings)
        self.ingests = Places(
            "ingest streams",
            lambda: settings.ingests_max,
            lambda: settings.ingests_per_organization_max,
        )
        self.exports = Places(
            "exports",
            lambda: settings.exports_max,
            lambda: settings.exports_per_organization_max,
            retry_after_s=30,
        )

    async def ask(self, what: Call[RequestT, AnswerT], request: RequestT) -> AnswerT:
        """The answer of another service; raises its failure."""
        return await call(self.bus, what, request)

    async def ask_bulk(self, what: BulkCall[RequestT, AnswerT], request: RequestT) -> tuple[AnswerT, bytes]:
        """The same, with the bytes beside the answer."""
        return await call_bulk(self.bus, what, request)

    async def follow(
        self,
        what: CallWithSteps[RequestT, AnswerT, StepT],
        request: RequestT,
        on_step: Callable[[StepT], Awaitable[None]],
    ) -> AnswerT:
        """The same, with each step of the work as it is taken."""
        return await follow(self.bus, what, request, on_step)

    async def ask_link(self, what: LinkCall[LinkRequestT, AnswerT], request: LinkRequestT) -> AnswerT:
        """The answer of the replica of ingest that owns the link.

        Raises its failure, Unavailable("link.down") where nobody owns it, Refused("not_found") where there is
        no such integration, Refused("integration.hosted") for the hosted one, which has no link.
        """
        try:
            return await self.ask(what.at(request.organization, request.integration), request)
        except Unavailable as failure:
            if failure.code != "link.down":
                raise
            asked = GetIntegration(
                organization=request.organization, actor=request.actor, id=request.integration
            )
            if (await self.ask(GET_INTEGRATION, asked)).broker_type == "hosted":
                raise Refused("integration.hosted", "the hosted broker has no link of its own") from failure
            raise


Backend = NamedDependency[Gateway]
"""How a route asks for it: `gateway: Backend`."""
