"""From the revocation of a device in use to the last message of its that the broker acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress

from benchmarks.connects import ACCEPTED, connect_packet
from benchmarks.registry import Issued, Rig
from contracts.credentials import REVOKE_CREDENTIAL, RevokeCredential
from deploy.local.ports import LOOPBACK
from runtime import rpc
from tests.support.mqtt_wire import packet, text

PAYLOAD = b'{"temperature":21.5}'
IN_USE_S = 0.3  # how long a device publishes before it is revoked
PATIENCE_S = 10.0


class Publisher:
    """One device that publishes (QoS 1) as long as it may; `last` is when its last message was acknowledged."""

    def __init__(self, issued: Issued, pause_s: float) -> None:
        self.issued, self._pause_s = issued, pause_s
        self.last = 0.0
        self.acknowledged = 0
        self.ended = asyncio.Event()
        self._topic = text(f"{issued.organization}/devices/{issued.device_id}/telemetry")

    async def run(self, port: int) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        try:
            writer.write(connect_packet(self.issued.login))
            if await reader.readexactly(4) != ACCEPTED:
                raise RuntimeError("a device of the benchmark was refused")
            number = 0
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    number = number % 65535 + 1
                    writer.write(packet(0x32, self._topic + number.to_bytes(2, "big") + PAYLOAD))
                    await reader.readexactly(4)
                    self.last = time.perf_counter()
                    self.acknowledged += 1
                    await asyncio.sleep(self._pause_s)
        finally:
            self.ended.set()
            writer.close()


async def measure(rig: Rig, revoked: Sequence[Issued], others: Sequence[Issued], rate: float) -> list[float]:
    """Milliseconds of each revocation: from asking for it until the last acknowledgement.

    The device to be revoked publishes one message after the other; the others share `rate` messages a second.
    """
    bus = await rig.bus("gateway")
    port = rig.nats.ports.mqtt
    bystanders = [Publisher(each, len(others) / rate) for each in others]
    tasks = [asyncio.create_task(each.run(port)) for each in bystanders]
    try:
        taken: list[float] = []
        for issued in revoked:
            publisher = Publisher(issued, 0)
            publishing = asyncio.create_task(publisher.run(port))
            tasks.append(publishing)
            await asyncio.sleep(IN_USE_S)
            before = publisher.acknowledged
            began = time.perf_counter()
            request = RevokeCredential(organization=issued.organization, actor="benchmark", id=issued.id)
            await rpc.call(bus, REVOKE_CREDENTIAL, request)
            await asyncio.wait_for(publisher.ended.wait(), PATIENCE_S)
            await publishing
            if not before:
                raise RuntimeError("the device had not published before it was revoked")
            taken.append((publisher.last - began) * 1000)
        disturbed = sum(each.ended.is_set() for each in bystanders)
        if disturbed:
            raise RuntimeError(f"{disturbed} devices were cut off that nobody had revoked")
        return taken
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bus.broker.stop()
