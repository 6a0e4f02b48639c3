"""The relay as a process, in front of a real Mosquitto: every byte passes, and no faster than it is taken."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import aiomqtt
import psutil
import pytest
from aiomqtt.exceptions import MqttError
from cryptography import x509

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.tls import CertificateMissingError, TlsFiles, tls_files
from tests.conftest import MakeMosquitto
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.service import Service


class Relay:
    def __init__(self, folder: Path, broker: Mosquitto, **extra: str) -> None:
        self.tls: TlsFiles = tls_files(folder / "secrets", {})
        self.mqtts, self.wss = free_port(), free_port()
        env = {
            "MQTTS_PORT": str(self.mqtts),
            "MQTT_WSS_PORT": str(self.wss),
            "MQTT_TLS_CERT": str(self.tls.certificate),
            "MQTT_TLS_KEY": str(self.tls.key),
            "RELAY_MQTT_PORT": str(broker.port),
            "RELAY_WS_PORT": str(broker.websocket_port),
            "HEALTH_PORT": str(free_port()),
            **extra,
        }
        self.running = Service("relay", env, folder / "log")

    def client(self, **options: object) -> aiomqtt.Client:
        context = ssl.create_default_context(cafile=self.tls.authority)
        port = self.wss if options.get("transport") == "websockets" else self.mqtts
        return aiomqtt.Client(LOOPBACK, port, tls_context=context, **{"timeout": 10, **options})  # type: ignore[arg-type]


@pytest.fixture
def broker(mosquitto: MakeMosquitto) -> Mosquitto:
    return mosquitto(websocket=True)


MakeRelay = Callable[..., Relay]


@pytest.fixture
def make_relay(broker: Mosquitto, tmp_path: Path) -> Iterator[MakeRelay]:
    made: list[Relay] = []

    def make(**extra: str) -> Relay:
        made.append(Relay(tmp_path / f"relay{len(made)}", broker, **extra))
        made[-1].running.start()
        return made[-1]

    yield make
    for relay in made:
        relay.running.process.stop()


@pytest.mark.parametrize("version", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])
@pytest.mark.parametrize("transport", ["tcp", "websockets"])
async def test_both_versions_and_both_transports_pass(
    make_relay: MakeRelay, version: aiomqtt.ProtocolVersion, transport: str
) -> None:
    relay = make_relay()
    # paho leaves in its TLS buffer what came with a message by WebSocket: no long ones, one at a time
    payload = bytes(range(256)) * (1000 if transport == "tcp" else 4)
    async with relay.client(
        protocol=version, transport=transport, **({"websocket_path": "/mqtt"} if transport != "tcp" else {})
    ) as client:
        await client.subscribe("a/#", qos=2)
        for number in range(20):
            await client.publish(f"a/{number}", payload, qos=number % 3)
            assert (await asyncio.wait_for(anext(client.messages), 10)).payload == payload


async def test_a_reader_that_takes_nothing_costs_no_memory(
    make_relay: MakeRelay, mosquitto: MakeMosquitto
) -> None:
    relay = make_relay()
    process = psutil.Process(relay.running.process.pid)
    context = ssl.create_default_context(cafile=relay.tls.authority)
    reader, writer = await asyncio.open_connection(LOOPBACK, relay.mqtts, ssl=context, limit=1024)
    writer.write(b"\x10\x10\0\4MQTT\4\2\0\0\0\4slow")
    assert await reader.readexactly(4) == b"\x20\x02\0\0"
    writer.write(b"\x82\x06\0\1\0\1#\0")
    assert (await reader.readexactly(5))[0] == 0x90
    before = process.memory_info().rss
    async with relay.client() as client:
        for _ in range(200):
            await client.publish("big", b"x" * 250_000, qos=1)  # 50 MB, of which the reader takes nothing
    assert process.memory_info().rss - before < 20 * 1024 * 1024
    writer.transport.abort()


async def test_a_device_too_many_is_ended_and_its_place_is_free_again_later(make_relay: MakeRelay) -> None:
    relay = make_relay(RELAY_CONNECTIONS_MAX="2")
    async with relay.client(identifier="a"), relay.client(identifier="b"):
        with pytest.raises((MqttError, OSError)):
            await relay.client(identifier="c", timeout=1).__aenter__()
    async with relay.client(identifier="c"):
        pass


async def test_when_the_broker_is_away_devices_are_ended_and_come_back_with_it(
    make_relay: MakeRelay, broker: Mosquitto
) -> None:
    relay = make_relay()
    held = relay.client(identifier="a")
    await held.__aenter__()
    broker.kill()
    with pytest.raises(MqttError):
        await asyncio.wait_for(anext(held.messages), 5)
    with pytest.raises((MqttError, OSError)):
        await relay.client(identifier="b", timeout=1).__aenter__()
    broker.start()
    async with relay.client(identifier="a"):
        pass


async def test_the_will_of_a_device_that_vanishes_is_published(
    make_relay: MakeRelay, broker: Mosquitto
) -> None:
    relay = make_relay()
    context = ssl.create_default_context(cafile=relay.tls.authority)
    async with aiomqtt.Client(LOOPBACK, broker.port) as watcher:
        await watcher.subscribe("gone")
        reader, writer = await asyncio.open_connection(LOOPBACK, relay.mqtts, ssl=context)
        body = b"\0\4MQTT\4\6\0\x3c\0\1v\0\4gone\0\3bye"
        writer.write(b"\x10" + bytes([len(body)]) + body)
        assert await reader.readexactly(4) == b"\x20\x02\0\0"
        writer.transport.abort()
        assert (await asyncio.wait_for(anext(watcher.messages), 5)).payload == b"bye"


async def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path: Path) -> None:
    from services.relay.tls import Tls

    first = tls_files(tmp_path, {})
    tls = Tls(first.certificate, first.key, None)
    server = await asyncio.start_server(lambda _, writer: writer.close(), LOOPBACK, 0, ssl=tls.context)
    port = server.sockets[0].getsockname()[1]
    before = await _serial(port, first)
    first.certificate.unlink()
    tls_files(tmp_path, {})
    tls.reload()
    after = await _serial(port, first)
    assert before != after
    first.key.write_text("rubbish")
    tls.reload()
    assert await _serial(port, first) == after  # what does not fit is not taken
    server.close()


async def _serial(port: int, files: TlsFiles) -> int:
    context = ssl.create_default_context(cafile=files.authority)
    _, writer = await asyncio.open_connection(LOOPBACK, port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    with suppress(OSError):
        writer.close()
    return x509.load_der_x509_certificate(der).serial_number


def test_given_certificates_are_taken_and_half_of_a_pair_is_not(tmp_path: Path) -> None:
    own = tls_files(tmp_path / "own", {})
    assert tls_files(tmp_path / "own", {}) == own
    assert own.key.stat().st_mode & 0o777 == 0o600
    given = {"MQTT_TLS_CERT": str(own.certificate), "MQTT_TLS_KEY": str(own.key)}
    assert tls_files(tmp_path / "x", given) == TlsFiles(own.certificate, own.key, None, None)
    with pytest.raises(CertificateMissingError):
        tls_files(tmp_path / "x", {"MQTT_TLS_CERT": str(own.certificate)})
    with pytest.raises(CertificateMissingError):
        tls_files(tmp_path / "x", {**given, "MQTT_TLS_KEY": "/nowhere"})


async def test_a_key_of_the_wrong_length_ends_the_start(make_relay: MakeRelay, tmp_path: Path) -> None:
    relay = make_relay()
    wrong = {**relay.running.env, "TLS_TICKET_KEY": base64.b64encode(b"short").decode()}
    running = Service("relay", wrong, tmp_path / "wrong.log")
    running.process.start()
    assert running.process.wait(20) == 2
    await eventually(lambda: "TLS_TICKET_KEY" in running.process.log.read_text())
