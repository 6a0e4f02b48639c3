"""The gateway: the HTTP API, live streams, and who may call what. Wiring only."""

from __future__ import annotations

from runtime import service
from runtime.log_writer import LogWriter
from runtime.service import started
from runtime.settings import load
from services.gateway.app import build
from services.gateway.auth import Keys
from services.gateway.live import Live
from services.gateway.server import Listener
from services.gateway.settings import GatewaySettings
from services.gateway.state import Gateway


async def run() -> None:
    settings = load(GatewaySettings)
    async with started("gateway", settings) as held:
        keys = Keys(held.bus)
        await keys.watch()
        writer = LogWriter(held.bus.client)
        held.task(writer.run(), "log writer")
        live = Live(held.bus, keys, settings)
        gateway = Gateway(
            settings=settings, bus=held.bus, writer=writer, keys=keys, live=live, health=held.health
        )
        listener = Listener(build(gateway), live, settings)
        held.health.add("http", lambda: listener.missing)
        held.task(listener.run(), "http")
        await held.run()


if __name__ == "__main__":
    service.main(run)
