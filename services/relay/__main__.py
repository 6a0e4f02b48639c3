"""The TLS relay: mqtts and wss in front of a broker that takes MQTT without encryption. Wiring only."""

from __future__ import annotations

import asyncio
import signal
import ssl

from runtime import health as health_module
from runtime import observe, service
from runtime.health import Health
from runtime.settings import load
from services.relay import openings
from services.relay.relay import Broker, Device, Limits
from services.relay.settings import RelaySettings
from services.relay.tls import Tls

BACKLOG = 1024
HANDSHAKE_S = 10.0


async def run() -> None:
    settings = load(RelaySettings)
    observe.set_up("relay", settings.log_level)
    key = settings.ticket_key
    tls = Tls(settings.mqtt_tls_cert, settings.mqtt_tls_key, settings.mqtt_tls_client_ca if key else None)
    mqtt = openings.mqtt(key) if key else openings.unchanged
    limits = Limits(settings.relay_connections_max)
    upstream_tls = ssl.create_default_context(cafile=settings.platform_ca) if settings.platform_ca else None
    host, loop = settings.relay_mqtt_host, asyncio.get_running_loop()
    servers = [
        await loop.create_server(
            lambda opening=opening, upstream=upstream: Device(opening, upstream, limits),  # type: ignore[misc]
            settings.relay_host,
            port,
            ssl=tls.context,
            ssl_handshake_timeout=HANDSHAKE_S,
            backlog=BACKLOG,
        )
        for port, opening, upstream in (
            (settings.mqtts_port, mqtt, Broker(host, settings.relay_mqtt_port, upstream_tls)),
            (settings.mqtt_wss_port, openings.websocket, Broker(host, settings.relay_ws_port, upstream_tls)),
        )
    ]
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    health = Health()
    tasks = [asyncio.create_task(tls.watch(), name="tls"), asyncio.create_task(stopping.wait(), name="stop")]
    if settings.health_port:
        listener = health_module.server(health, settings.health_host, settings.health_port)
        # `serve` would take the signals: they are ours
        tasks.append(asyncio.create_task(listener._serve(), name="health listener"))  # noqa: SLF001
    observe.log().info("running")
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for server in servers:
        server.close()
    for device in list(limits.open):
        device.transport.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if not stopping.is_set():
        raise RuntimeError(f"{', '.join(task.get_name() for task in done)} ended")


if __name__ == "__main__":
    service.main(run)
