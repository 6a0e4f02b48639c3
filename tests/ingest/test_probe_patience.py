"""A connection test waits, but not for ever: silent, slow and overwhelming peers, within ten seconds."""

from __future__ import annotations

import asyncio
import time

from services.ingest.network import Network
from services.ingest.policy import Policy
from tests.conftest import MakeMosquitto
from tests.ingest.probing import LOGIN, authority, failed, names, probe
from tests.support.certificates import Certificates
from tests.support.hostile import ACCEPTED_311, peer, says, server_tls, silent, web_server
from tests.support.mqtt_wire import packet


async def test_a_web_server_that_was_asked_for_mqtt() -> None:
    with web_server() as port:
        step = failed(await probe(port))
    assert (step.name, step.code) == ("mqtt", "broker.not_mqtt")
    assert "a web server" in step.seen
    assert step.next_action is not None
    assert "`ws`" in step.next_action


async def test_a_web_server_behind_tls_that_was_asked_for_mqtt(certificates: Certificates) -> None:
    with web_server(tls=server_tls(certificates)) as port:
        tested = await probe(port, protocol="mqtts", host="localhost", tls={"ca": authority(certificates)})
    step = failed(tested)
    assert names(tested)[-2:] == ["tls", "mqtt"]
    assert step.code == "broker.not_mqtt"
    assert step.next_action is not None
    assert "`wss`" in step.next_action


async def test_a_silent_host() -> None:
    async def step_of(protocol: str) -> tuple[str, str | None]:
        step = failed(await probe(mute.port, protocol=protocol))
        return step.name, step.code

    begun = time.monotonic()
    async with peer(silent) as mute:
        steps = await asyncio.gather(*map(step_of, ("mqtt", "mqtts", "ws", "wss")))
    assert [name for name, _ in steps] == ["mqtt", "tls", "websocket", "tls"]
    assert {code for _, code in steps} == {"broker.timeout"}
    assert time.monotonic() - begun < 11


async def test_a_name_server_that_does_not_answer_is_given_up() -> None:
    async def mute(host: str, port: int) -> list[str]:
        await asyncio.sleep(60)
        raise AssertionError

    step = failed(await probe(1883, host="slow.example", network=Network(Policy(), mute)))
    assert (step.name, "not resolved" in step.seen) == ("dns", True)


async def test_a_subscription_that_is_never_answered() -> None:
    async with peer(says(ACCEPTED_311)) as broker:
        step = failed(await probe(broker.port))
    assert (step.name, step.code) == ("subscribe", "broker.timeout")


async def test_nothing_of_a_login_goes_where_it_was_not_asked_for() -> None:
    """A port that speaks no TLS gets other greetings too; none of them says who we are."""
    async with peer(silent) as mute:
        await probe(mute.port, protocol="mqtts", **LOGIN)
        assert mute.connections == 4
        assert not [heard for heard in mute.heard if b"sesame" in heard or b"bridge" in heard]


async def test_a_test_of_a_slow_peer_ends_in_time() -> None:
    """A byte a second, so that no single wait is too long."""

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        for byte in packet(0x20, b"\0\0" * 200):
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.5)

    begun = time.monotonic()
    async with peer(drip) as slow:
        step = failed(await probe(slow.port))
    assert step.name == "mqtt"
    assert time.monotonic() - begun < 11


async def test_a_flood_does_not_hold_the_test_nor_anybody_else(mosquitto: MakeMosquitto) -> None:
    """After its CONNACK it sends messages at line speed, and no SUBACK."""
    chunk = packet(0x30, b"\0\x05plant" + b"x" * 1000) * 60

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(ACCEPTED_311)
        while True:
            writer.write(chunk)
            await writer.drain()

    other = mosquitto()
    async with peer(flood) as torrent:
        under_way = asyncio.create_task(probe(torrent.port))
        await torrent.arrived.wait()
        assert (await probe(other.port)).ok
        assert not under_way.done()
        step = failed(await under_way)
    assert (step.name, step.code) == ("subscribe", "broker.timeout")
