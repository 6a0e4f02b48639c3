"""What people say of devices, as credentials writes it into the registry."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts import subjects
from contracts.devices import DeviceDescribed, DeviceForgotten, device_token
from contracts.envelope import Cause
from deploy.local.nats import NatsServer
from runtime.event_log import Append, EventLog
from tests.support.clients import platform_client
from tests.telemetry.world import World


async def write(server: NatsServer, org: str, *events: DeviceDescribed | DeviceForgotten) -> int:
    """The sequence of the last one."""
    sequence = 0
    async with platform_client(server, "credentials") as client:
        log = EventLog(client, "REGISTRY")
        for event in events:
            subject = subjects.registry(org, "device", device_token(org, event.device_id))
            before = await log.read(subject)
            append = Append(subject, event, before[-1].sequence if before else 0)
            cause, now = Cause("key:k", "credentials"), datetime.now(UTC)
            [written] = await log.append([append], cause=cause, now=now)
            sequence = written.sequence
    return sequence


async def said(here: World, server: NatsServer, org: str, *events: DeviceDescribed | DeviceForgotten) -> None:
    """Returns when it is seen."""
    await here.stored(await write(server, org, *events), "devices")
