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
EVERY_S = 0.1  # between two revocations
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
    """Milliseconds of each revocation; all devices together publish `rate` messages a second meanwhile.

    Below zero: the last acknowledgement came before the revocation was asked for.
    """
    pause_s = (len(revoked) + len(others)) / rate
    bus = await rig.bus("gateway")
    publishers = [Publisher(issued, pause_s) for issued in (*revoked, *others)]
    tasks = [asyncio.create_task(each.run(rig.nats.ports.mqtt)) for each in publishers]
    try:
        await asyncio.sleep(1.0)
        taken: list[float] = []
        for publisher in publishers[: len(revoked)]:
            issued = publisher.issued
            began = time.perf_counter()
            request = RevokeCredential(organization=issued.organization, actor="benchmark", id=issued.id)
            await rpc.call(bus, REVOKE_CREDENTIAL, request)
            await asyncio.wait_for(publisher.ended.wait(), PATIENCE_S)
            taken.append((publisher.last - began) * 1000)
            await asyncio.sleep(EVERY_S)
        disturbed = [each for each in publishers[len(revoked) :] if each.ended.is_set()]
        if disturbed:
            raise RuntimeError(f"{len(disturbed)} devices were cut off that nobody had revoked")
        return taken
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bus.broker.stop()
