"""Every way to a broker, through the service: what is published there reaches MESSAGES."""

from typing import Any

import pytest

from contracts.broker_topics import TopicFilter
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World
from tests.support.certificates import Certificates
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually
from tests.support.mosquitto import Mosquitto
from tests.support.service import Service

ALL = (TopicFilter(filter="#", qos=1),)
VERSIONS = pytest.mark.parametrize("mqtt_version", ["3.1.1", "5"])


def trusting(files: Certificates, **more: Any) -> dict[str, Any]:
    return {"ca": files.authority.read_text(), **more}


def showing(files: Certificates, **more: Any) -> dict[str, Any]:
    return trusting(files, client_certificate=files.client.read_text(), **more)


async def until_up(world: World) -> None:
    async def up() -> bool:
        return "link.up" in await world.kinds()

    await eventually(up, timeout_s=20)


async def flows(world: World, link: str, broker: Mosquitto) -> None:
    """From a device to the log: small messages, and a large one, in their order."""
    await until_up(world)
    payloads = [b"%d" % number for number in range(200)] + [b"x" * 200_000, b"last"]
    async with mqtt_client(broker.port, None, None) as device:
        for payload in payloads:
            await device.publish("devices/d1/telemetry", payload, qos=1)

    async def there() -> bool:
        return len(await world.stored(link)) >= len(payloads)

    await eventually(there, timeout_s=20, every_s=0.2)
    assert [message.payload for message in await world.stored(link)] == payloads


@VERSIONS
async def test_mqtts(
    world: World, ingest: Service, mosquitto: MakeMosquitto, certificates: Certificates, mqtt_version: str
) -> None:
    broker = mosquitto(certificates=certificates)
    assert broker.tls_port
    settings = {"protocol": "mqtts", "host": "localhost", "tls": trusting(certificates)}
    link = await world.create(broker.tls_port, topics=ALL, mqtt_version=mqtt_version, **settings)
    await flows(world, link, broker)
    assert "link.unverified" not in await world.kinds()


@VERSIONS
async def test_a_client_certificate(
    world: World, ingest: Service, mosquitto: MakeMosquitto, certificates: Certificates, mqtt_version: str
) -> None:
    broker = mosquitto(certificates=certificates, client_certificates=True)
    assert broker.tls_port
    link = await world.create(
        broker.tls_port,
        topics=ALL,
        auth="client_certificate",
        protocol="mqtts",
        mqtt_version=mqtt_version,
        tls=showing(certificates),
        client_key=certificates.client_key.read_text(),
    )
    await flows(world, link, broker)


@VERSIONS
async def test_a_websocket(
    world: World, ingest: Service, mosquitto: MakeMosquitto, mqtt_version: str
) -> None:
    broker = mosquitto(websocket=True)
    assert broker.websocket_port
    link = await world.create(
        broker.websocket_port, topics=ALL, protocol="ws", path="/mqtt", mqtt_version=mqtt_version
    )
    await flows(world, link, broker)


@VERSIONS
async def test_a_websocket_over_tls(
    world: World, ingest: Service, mosquitto: MakeMosquitto, certificates: Certificates, mqtt_version: str
) -> None:
    broker = mosquitto(certificates=certificates, websocket=True)
    assert broker.wss_port
    settings = {"protocol": "wss", "host": "localhost", "tls": trusting(certificates)}
    link = await world.create(broker.wss_port, topics=ALL, mqtt_version=mqtt_version, **settings)
    await flows(world, link, broker)


async def test_a_broker_that_is_not_verified_is_said_at_each_connect(
    world: World, ingest: Service, mosquitto: MakeMosquitto, certificates: Certificates
) -> None:
    broker = mosquitto(certificates=certificates)
    assert broker.tls_port
    link = await world.create(broker.tls_port, topics=ALL, protocol="mqtts", tls={"verify": False})
    await flows(world, link, broker)
    broker.kill()
    broker.start()

    async def said_again() -> bool:
        return (await world.kinds()).count("link.unverified") == 2

    await eventually(said_again, timeout_s=20)
    [first, _] = [event for event in await world.activity() if event.kind == "link.unverified"]
    assert first.subject == f"integration:{link}"
    assert "pose as this broker" in first.summary


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"tls": {}}, "tls.untrusted"),
        ({"tls": {"server_name": "other.example"}, "ca": True}, "tls.name"),
        ({"tls": {}, "ca": True}, "tls.client_certificate_required"),
    ],
)
async def test_why_a_link_is_refused_is_said_with_its_code(
    world: World,
    ingest: Service,
    mosquitto: MakeMosquitto,
    certificates: Certificates,
    settings: dict[str, Any],
    code: str,
) -> None:
    broker = mosquitto(certificates=certificates, client_certificates=True)
    assert broker.tls_port
    tls = trusting(certificates, **settings["tls"]) if settings.get("ca") else settings["tls"]
    await world.create(broker.tls_port, topics=ALL, protocol="mqtts", tls=tls)

    async def refused() -> bool:
        return [e.reason for e in await world.activity() if e.kind == "link.refused"] == [code]

    await eventually(refused, timeout_s=20)


async def test_a_port_that_speaks_no_websocket_is_said(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(websocket=True)
    assert broker.port
    await world.create(broker.port, topics=ALL, protocol="ws", path="/mqtt")

    async def down() -> bool:
        return "websocket.invalid" in [e.reason for e in await world.activity() if e.kind == "link.down"]

    await eventually(down, timeout_s=20)


async def test_secrets_are_in_no_log_and_no_event(
    world: World, ingest: Service, mosquitto: MakeMosquitto, certificates: Certificates
) -> None:
    broker = mosquitto(certificates=certificates, client_certificates=True)
    assert broker.tls_port
    key = certificates.client_key.read_text()
    await world.create(
        broker.tls_port,
        topics=ALL,
        auth="client_certificate",
        protocol="mqtts",
        tls=showing(certificates, server_name="other.example"),
        client_key=key,
    )

    async def refused() -> bool:
        return "link.refused" in await world.kinds()

    await eventually(refused, timeout_s=20)
    line = key.splitlines()[1]
    assert line not in ingest.process.log.read_text()
    assert line not in repr(await world.activity())
