"""AWS IoT Core: a client certificate, ALPN where the port wants it, and what it takes no more of."""

import ssl
from typing import Any

import pytest

from contracts.broker_settings import broker_settings
from contracts.broker_topics import TopicFilter
from services.ingest import transport
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World
from tests.support.aws_front import ALPN, AwsFront
from tests.support.certificates import Certificates
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually
from tests.support.service import Service

THING = "line-4:gateway"  # a colon is allowed there


def aws(files: Certificates, **changes: Any) -> dict[str, Any]:
    tls = {"ca": files.authority.read_text(), "client_certificate": files.client.read_text(), "alpn": (ALPN,)}
    return {
        "auth": "aws_iot",
        "host": "localhost",
        "client_id": THING,
        "tls": tls,
        "client_key": files.client_key.read_text(),
        **changes,
    }


@pytest.fixture
def front_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    context.load_verify_locations(certificates.authority)
    return context


@pytest.mark.parametrize(("port", "offered"), [(443, (ALPN,)), (8883, ())])
def test_alpn_is_offered_at_port_443_alone(
    certificates: Certificates, port: int, offered: tuple[str, ...]
) -> None:
    tls = {"client_certificate": certificates.client.read_text()}
    settings = broker_settings(
        auth="aws_iot", host="a1b2c3-ats.iot.eu-west-1.amazonaws.com", port=port, tls=tls
    )
    trust = transport.trust(settings, {"client_key": "a key"})
    assert trust is not None
    assert trust.alpn == offered
    assert trust.key == "a key"
    assert trust.server_name == "a1b2c3-ats.iot.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_a_thing_is_connected_within_the_rules(
    world: World,
    ingest: Service,
    mosquitto: MakeMosquitto,
    certificates: Certificates,
    front_context: ssl.SSLContext,
    version: str,
) -> None:
    broker = mosquitto()
    topics = tuple(TopicFilter(filter=f"plant/{number}/#") for number in range(20))
    async with AwsFront(front_context, broker.port) as front:
        link = await world.create(front.port, topics=topics, mqtt_version=version, **aws(certificates))
        await eventually(lambda: sum(front.subscribes) == 20, timeout_s=20)
        assert front.subscribes == [8, 8, 4]
        async with mqtt_client(broker.port, None, None) as device:

            async def there() -> bool:
                await device.publish("plant/19/x", b"1", qos=1)
                return len(await world.stored(link)) > 0

            await eventually(there, timeout_s=20, every_s=0.2)
        assert front.client_ids == [THING]
        assert front.violations == []


async def test_filters_are_taken_back_within_the_rules(
    world: World,
    ingest: Service,
    mosquitto: MakeMosquitto,
    certificates: Certificates,
    front_context: ssl.SSLContext,
) -> None:
    broker = mosquitto()
    many = tuple(TopicFilter(filter=f"plant/{number}/#") for number in range(12))
    async with AwsFront(front_context, broker.port) as front:
        link = await world.create(front.port, topics=many, **aws(certificates))
        await eventually(lambda: sum(front.subscribes) == 12, timeout_s=20)
        await world.change(link, front.port, topics=many[:1], **aws(certificates))
        await eventually(lambda: front.subscribes[-1] == 1, timeout_s=20)
        assert front.violations == []


async def test_without_alpn_the_port_hangs_up(
    world: World,
    ingest: Service,
    mosquitto: MakeMosquitto,
    certificates: Certificates,
    front_context: ssl.SSLContext,
) -> None:
    broker = mosquitto()
    async with AwsFront(front_context, broker.port) as front:
        fields = aws(certificates)
        tls = {name: value for name, value in fields["tls"].items() if name != "alpn"}
        await world.create(front.port, **{**fields, "tls": tls})

        async def down() -> bool:
            return "link.down" in await world.kinds()

        await eventually(down, timeout_s=20)
        assert "ALPN" in front.violations
