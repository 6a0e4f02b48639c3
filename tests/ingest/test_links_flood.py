"""A broker that sends without end, and a log that takes nothing: memory is bounded, and nobody else notices."""

import asyncio
from pathlib import Path

import pytest

from contracts.broker_topics import TopicFilter
from deploy.local.nats import NatsServer
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World
from tests.ingest.replicas import status, until_up
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually
from tests.support.hostile import peer
from tests.support.mqtt_wire import packet, text
from tests.support.service import Service

ALL = (TopicFilter(filter="#"),)
PAYLOAD = b"x" * 1024
AT_ONCE = 200
GROWTH_BYTES_MAX = 96 * 1024 * 1024  # what waits for the log is bounded by 64 MiB for all links
STALLED_S = 2.0


class Flood:
    """A broker that knows no window: it writes for as long as anybody reads."""

    def __init__(self, qos: int) -> None:
        self._qos = qos
        self.sent = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _read(reader)
        writer.write(b"\x20\x02\x00\x00")
        while (await _read(reader))[0] & 0xF0 != 0x80:
            pass
        writer.write(b"\x90\x03\x00\x01\x01")
        drained = asyncio.create_task(_drain(reader))
        try:
            while True:
                writer.write(b"".join(self._message() for _ in range(AT_ONCE)))
                await writer.drain()
        finally:
            drained.cancel()

    def _message(self) -> bytes:
        self.sent += 1
        mid = (self.sent % 65_535 + 1).to_bytes(2, "big") if self._qos else b""
        return packet(0x30 | self._qos << 1, text("devices/d1/telemetry") + mid + PAYLOAD)


async def _read(reader: asyncio.StreamReader) -> bytes:
    """One short packet."""
    head = await reader.readexactly(2)
    length, more = head[1] & 0x7F, head[1] & 0x80
    if more:
        length |= (await reader.readexactly(1))[0] << 7
    return head + await reader.readexactly(length)


async def _drain(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


def resident(service: Service) -> int:
    """Bytes of memory."""
    assert service.process.pid is not None
    pages = Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


async def stalled(flood: Flood) -> None:
    """Returns when nobody has read for a while."""
    seen, since = -1, 0.0
    clock = asyncio.get_running_loop().time

    def so() -> bool:
        nonlocal seen, since
        if flood.sent != seen:
            seen, since = flood.sent, clock()
        return seen > 0 and clock() - since > STALLED_S

    await eventually(so, timeout_s=40)


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_flood_while_the_log_is_away_is_held_back_at_its_broker(
    own_nats: NatsServer, world: World, ingest: Service, mosquitto: MakeMosquitto, qos: int
) -> None:
    broker, flood = mosquitto(), Flood(qos)
    calm = await world.create(broker.port, topics=ALL)
    await until_up(world, calm)
    before = await status(world, calm)
    async with peer(flood) as torrent:
        link = await world.create(torrent.port, topics=(TopicFilter(filter="#", qos=1),))
        await eventually(lambda: flood.sent > 5_000, timeout_s=20)
        memory = resident(ingest)
        own_nats.pause()
        try:
            await stalled(flood)
            async with mqtt_client(broker.port, None, None) as device:
                await device.publish("x", b"meanwhile", qos=1)
            sent = flood.sent
            assert resident(ingest) - memory < GROWTH_BYTES_MAX
        finally:
            own_nats.resume()
        await eventually(lambda: flood.sent > sent + 2_000, timeout_s=30)  # it is read again
        await world.delete(link)

        async def stored() -> bool:
            return [message.payload for message in await world.stored(calm)] == [b"meanwhile"]

        await eventually(stored, timeout_s=20)
    after = await status(world, calm)
    assert before is not None
    assert after is not None
    assert before.connected_since == after.connected_since, "another link was touched"
