"""Brokers that send more than can be taken: memory stays bounded, and a good link next to them goes on."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from contracts.broker_topics import TopicFilter
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World
from tests.ingest.test_hostile_brokers import ALL, GRANTED, all_said, kinds, message, until_said, up_then
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually
from tests.support.hostile import ACCEPTED_311, Answer, Peer, peer
from tests.support.mqtt_wire import packet
from tests.support.service import Service

MESSAGES = 200
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
KIB, MIB = 1024, 1024 * 1024
P99_S = 2.0
"""Some 0.3 s on two cores that flood, carry and judge at once; a link that held the others up took 30."""
GROWTH_MAX = 100 * MIB
"""One link may hold some MiB, the writer that all share 64 MiB and a batch; Python's allocator as much again."""


def endlessly(chunk: bytes) -> Answer:
    """At line speed, whatever is answered: nothing is read."""

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(chunk)
            await writer.drain()

    return flood


def huge(size: int, after: bytes) -> Answer:
    """One message of so many bytes, and what follows it."""

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = bytearray()
        left = size
        while True:
            left, digit = divmod(left, 128)
            length.append(digit | (128 if left else 0))
            if not left:
                break
        writer.write(b"\x32" + bytes(length) + b"\0\x03big\0\x01")
        left = size - 7
        while left:
            part = min(left, MIB)
            writer.write(bytes(part))
            await writer.drain()
            left -= part
        writer.write(after)
        while await reader.read(65536):
            pass

    return send


async def flood_of_pings(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A WebSocket whose frames hold no byte of MQTT."""
    request = await reader.readuntil(b"\r\n\r\n")
    key = next(line[19:] for line in request.decode().split("\r\n") if line.startswith("Sec-WebSocket-Key"))
    accept = base64.b64encode(hashlib.sha1(f"{key}{GUID}".encode()).digest()).decode()
    writer.write(
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
    )
    await reader.read(1000)
    writer.write(frame(ACCEPTED_311))
    await reader.read(1000)
    writer.write(frame(GRANTED))
    while True:
        writer.write(b"\x8a\x00" * 32_768)  # pongs that nobody asked for
        await writer.drain()


def frame(payload: bytes) -> bytes:
    return bytes((0x82, len(payload))) + payload


SMALL = message(b"devices/d/x", b"x" * 100) * 500
LARGE = message(b"devices/d/x", b"x" * 250 * KIB)
AT_LEAST_ONCE = b"".join(
    message(b"devices/d/x", b"x" * 100, first=0x32, mid=mid.to_bytes(2, "big")) for mid in range(1, 500)
)
DISTINCT = b"".join(message(b"devices/%d/" % number + b"t" * 900, b"x") for number in range(2_000))
FLOODS = {
    "small messages": up_then(b"", endlessly(SMALL)),
    "large messages": up_then(b"", endlessly(LARGE)),
    "QoS 1 without regard to acknowledgements": up_then(b"", endlessly(AT_LEAST_ONCE)),
    "topics without end": up_then(b"", endlessly(DISTINCT)),
    "pings": up_then(b"", endlessly(packet(0xD0, b"") * 10_000)),
    "PUBRELs that want an answer each": up_then(b"", endlessly(packet(0x62, b"\0\x01") * 10_000)),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_is_bounded_and_a_good_link_goes_on(
    world: World, ingest: Service, mosquitto: MakeMosquitto, flood: str
) -> None:
    async with good_link(world, mosquitto) as (fine, port):
        before = memory(ingest)
        async with peer(FLOODS[flood]) as torrent:
            link = await world.create(torrent.port, topics=ALL)
            await torrent.arrived.wait()
            latencies = await publish_and_await(world, fine, port)
            grown = peak_memory(ingest) - before
            await world.delete(link)
        assert grown < GROWTH_MAX
        assert p99(latencies) < P99_S
        assert await kinds(world, fine) == ["link.up"]


async def test_a_packet_of_256_mb_is_not_held_and_the_link_stays_up(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    after = message(b"devices/d/x", b"after", first=0x32, mid=b"\0\x02")
    async with good_link(world, mosquitto) as (fine, port):
        before = memory(ingest)
        async with peer(up_then(b"", huge(268_435_455, after))) as broker:
            link = await world.create(broker.port, topics=ALL)
            await publish_and_await(world, fine, port)

            async def came() -> bool:
                return [entry.payload for entry in await world.stored(link)] == [b"after"]

            await eventually(came, timeout_s=40, every_s=0.5)
            assert (await until_said(world, link, "link.dropped")).reason == "payload.too_large"
            assert peak_memory(ingest) - before < GROWTH_MAX
            assert "link.down" not in await kinds(world, link)
            await world.delete(link)
        assert await kinds(world, fine) == ["link.up"]


async def test_a_websocket_without_an_end_of_control_frames_holds_nobody_up(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    async with good_link(world, mosquitto) as (fine, port), peer(flood_of_pings) as torrent:
        link = await world.create(torrent.port, topics=ALL, protocol="ws")
        await torrent.arrived.wait()
        latencies = await publish_and_await(world, fine, port)
        assert p99(latencies) < P99_S
        await world.delete(link)
        assert await kinds(world, fine) == ["link.up"]


async def test_many_that_reconnect_without_end_hold_nobody_up(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    """Each goes up and down; every pause is longer than the one before."""

    async def leave(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        return

    async with good_link(world, mosquitto) as (fine, port), AsyncExitStack() as stack:
        restless: list[Peer] = []
        links = []
        for _ in range(20):
            restless.append(await stack.enter_async_context(peer(up_then(b"", leave))))
            links.append(await world.create(restless[-1].port, topics=ALL))
        await publish_and_await(world, fine, port)
        await eventually(lambda: all(each.connections >= 3 for each in restless), timeout_s=30)
        assert max(each.connections for each in restless) < 15
        heard = await all_said(world)
        assert all(len(heard[link]) < 40 for link in links)
        assert await kinds(world, fine) == ["link.up"]
        for link in links:
            await world.delete(link)


@asynccontextmanager
async def good_link(world: World, mosquitto: MakeMosquitto) -> AsyncIterator[tuple[str, int]]:
    broker = mosquitto()
    link = await world.create(broker.port, topics=(TopicFilter(filter="devices/#", qos=1),))
    await until_said(world, link, "link.up")
    yield link, broker.port
    await world.delete(link)


async def publish_and_await(world: World, link: str, port: int) -> list[float]:
    """Seconds from a publish to the log, sorted, as the log's own times say; every message must come."""
    async with mqtt_client(port, None, None) as device:
        for _ in range(MESSAGES):
            await device.publish("devices/d/x", b"%.6f" % time.time(), qos=1)
            await asyncio.sleep(0.01)

    async def all_there() -> list[float]:
        took = await world.stored_at(link)
        assert len(took) >= MESSAGES, len(took)
        return sorted(at - float(payload) for at, payload in took)

    return await eventually(all_there, timeout_s=30, every_s=0.5)


def p99(latencies: list[float]) -> float:
    return latencies[int(len(latencies) * 0.99)]


def memory(service: Service) -> int:
    return _status(service, "VmRSS")


def peak_memory(service: Service) -> int:
    return _status(service, "VmHWM")


def _status(service: Service, name: str) -> int:
    lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    [found] = [line for line in lines if line.startswith(f"{name}:")]
    return int(found.split()[1]) * KIB
