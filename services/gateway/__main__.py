"""The gateway: the HTTP API, live streams, and who may call what. Wiring only."""

from __future__ import annotations

from runtime import service
from runtime.log_writer import LogWriter
from runtime.service import started
from runtime.settings import load
from services.gateway.app import build
from services.gateway.auth import Keys
from services.gateway.decoder_choices import DecoderChoices
from services.gateway.issuer_keys import IssuerKeys
from services.gateway.live.streams import Live
from services.gateway.server import Listener
from services.gateway.settings import GatewaySettings
from services.gateway.state import Gateway
from services.gateway.tokens import Tokens, Trust


async def run() -> None:
    settings = load(GatewaySettings)
    async with started("gateway", settings) as held:
        keys = Keys(held.bus, tokens=_tokens(settings))
        await keys.watch()
        writer = LogWriter(held.bus.client)
        held.task(writer.run(), "log writer")
        choices = DecoderChoices(held.bus.client)
        held.task(choices.run(), "decoder choices")
        live = Live(held.bus, keys, settings, choices.choose)
        held.task(live.run(), "live streams")
        gateway = Gateway(
            settings=settings, bus=held.bus, writer=writer, keys=keys, live=live, health=held.health
        )
        listener = Listener(build(gateway), live, settings)
        held.health.add("http", lambda: listener.missing)
        held.task(listener.run(), "http")
        await held.run()


def _tokens(settings: GatewaySettings) -> Tokens | None:
    if not settings.oidc_issuer:
        return None
    trust = Trust(
        settings.oidc_issuer,
        settings.oidc_audience,
        settings.oidc_organization_claim,
        settings.oidc_scopes_claim,
    )
    return Tokens(trust, IssuerKeys(trust.issuer))


if __name__ == "__main__":
    service.main(run)
