"""What a connection test says of peers that are not what they were taken for: each its own explanation."""

from __future__ import annotations

import pytest

from contracts.broker_topics import TopicFilter
from deploy.local.nats import NatsServer
from deploy.local.ports import free_port
from services.ingest.network import Network
from services.ingest.policy import Policy
from tests.conftest import MakeMosquitto
from tests.ingest.probing import LOGIN, failed, probe
from tests.support.certificates import Certificates
from tests.support.hostile import (
    ACCEPTED_5,
    ACCEPTED_311,
    closing,
    greets,
    peer,
    says,
    silent,
    web_server,
)
from tests.support.mqtt_wire import packet


async def test_a_plaintext_port_that_was_asked_for_tls(mosquitto: MakeMosquitto) -> None:
    step = failed(await probe(mosquitto().port, protocol="mqtts"))
    assert (step.name, step.code) == ("tls", "tls.plaintext")
    assert "an MQTT broker answers on this port, without TLS" in step.seen
    assert step.next_action is not None
    assert "`mqtt`" in step.next_action


async def test_a_tls_port_that_was_asked_for_plaintext(
    mosquitto: MakeMosquitto, certificates: Certificates
) -> None:
    port = mosquitto(certificates=certificates).tls_port
    assert port
    step = failed(await probe(port, **LOGIN))
    assert (step.name, step.code) == ("mqtt", "broker.tls_expected")
    assert step.next_action is not None
    assert "`mqtts`" in step.next_action


async def test_a_tls_port_that_was_asked_for_a_plain_websocket(
    mosquitto: MakeMosquitto, certificates: Certificates
) -> None:
    port = mosquitto(certificates=certificates).tls_port
    assert port
    step = failed(await probe(port, protocol="ws"))
    assert (step.name, step.code) == ("websocket", "broker.tls_expected")
    assert step.next_action is not None
    assert "`wss`" in step.next_action


async def test_a_websocket_port_that_was_asked_for_mqtt(mosquitto: MakeMosquitto) -> None:
    port = mosquitto(websocket=True).websocket_port
    assert port
    step = failed(await probe(port))
    assert (step.name, step.code) == ("mqtt", "broker.websocket_expected")


async def test_an_mqtt_port_that_was_asked_for_a_websocket(mosquitto: MakeMosquitto) -> None:
    step = failed(await probe(mosquitto().port, protocol="ws"))
    assert (step.name, step.code) == ("websocket", "websocket.invalid")
    assert "without WebSocket" in step.seen
    assert step.next_action is not None
    assert "`mqtt`" in step.next_action


async def test_a_web_server_that_was_asked_for_tls() -> None:
    with web_server() as port:
        step = failed(await probe(port, protocol="mqtts"))
    assert (step.name, step.code) == ("tls", "tls.plaintext")
    assert "web server" in step.seen


@pytest.mark.parametrize(
    ("status", "word"),
    [(404, "path"), (403, "forbids"), (401, "login"), (200, "page"), (301, "redirects"), (503, "path")],
)
async def test_a_websocket_path_that_is_none(status: int, word: str) -> None:
    with web_server(status) as port:
        step = failed(await probe(port, protocol="ws", path="/wrong"))
    assert (step.name, step.code) == ("websocket", "websocket.refused")
    assert f"HTTP {status}" in step.seen
    assert "/wrong" in step.seen
    assert step.next_action is not None
    assert word in step.next_action


@pytest.mark.parametrize(
    ("protocol", "code"),
    [("mqtt", "broker.closed"), ("mqtts", "tls.closed"), ("ws", "websocket.invalid"), ("wss", "tls.closed")],
)
async def test_a_host_that_hangs_up_at_once(protocol: str, code: str) -> None:
    async with peer(closing) as rude:
        assert failed(await probe(rude.port, protocol=protocol)).code == code


@pytest.mark.parametrize(
    ("greeting", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", "an SSH server"),
        (b"220 mail.example ESMTP\r\n", "a mail or FTP server"),
        (b"INFO {}\r\n", "a NATS server"),
        (b"AMQP\x00\x00\x09\x01", "an AMQP broker"),
        (b"-ERR unknown command\r\n", "a Redis server"),
        (bytes(range(0x80, 0xA0)), "80 81 82 83"),
        (b"\x30\x05\x00\x01ahi", "it begins with 30 05"),  # a message before the CONNACK
        (b"\x20\xff\xff\xff\xff\x01", "it begins with 20 ff"),  # a length of five bytes
        (b"\x20\x00", "it begins with 20 00"),  # a CONNACK without a code
    ],
)
async def test_another_service_that_answers(greeting: bytes, words: str) -> None:
    async with peer(greets(greeting)) as other:
        step = failed(await probe(other.port))
    assert (step.name, step.code) == ("mqtt", "broker.not_mqtt")
    assert words in step.seen


async def test_a_nats_server_that_was_asked_for_mqtt(nats_server: NatsServer) -> None:
    step = failed(await probe(nats_server.ports.client))
    assert "a NATS server" in step.seen


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_a_wrong_password(mosquitto: MakeMosquitto, version: str) -> None:
    broker = mosquitto(users={"bridge": "other"})
    step = failed(await probe(broker.port, mqtt_version=version, **LOGIN))
    assert (step.name, step.code) == ("mqtt", "broker.credentials")
    assert "CONNACK" in step.seen
    assert step.next_action is not None
    assert "`password`" in step.next_action


async def test_a_broker_that_wants_a_login_and_gets_none(mosquitto: MakeMosquitto) -> None:
    step = failed(await probe(mosquitto(users={"bridge": "other"}).port))
    assert step.code == "broker.credentials"
    assert step.next_action is not None
    assert "choose the auth `password`" in step.next_action


async def test_a_version_of_mqtt_that_the_broker_does_not_take(nats_server: NatsServer) -> None:
    """nats-server speaks 3.1.1 alone."""
    step = failed(await probe(nats_server.ports.mqtt, mqtt_version="5"))
    assert (step.name, step.code) == ("mqtt", "broker.version")
    assert step.next_action == "Set `mqtt_version` to 3.1.1."


@pytest.mark.parametrize(
    ("version", "connack", "code"),
    [
        ("3.1.1", b"\0\x01", "broker.version"),
        ("3.1.1", b"\0\x02", "broker.client_id"),
        ("3.1.1", b"\0\x03", "broker.busy"),
        ("3.1.1", b"\0\x04", "broker.credentials"),
        ("3.1.1", b"\0\x05", "broker.credentials"),
        ("3.1.1", b"\0\x63", "broker.refused"),
        ("5", b"\0\x84\0", "broker.version"),
        ("5", b"\0\x85\0", "broker.client_id"),
        ("5", b"\0\x86\0", "broker.credentials"),
        ("5", b"\0\x89\0", "broker.busy"),
        ("5", b"\0\x8a\0", "broker.credentials"),
        ("5", b"\0\x80\0", "broker.refused"),
    ],
)
async def test_every_connack_that_refuses(version: str, connack: bytes, code: str) -> None:
    async with peer(says(packet(0x20, connack))) as broker:
        step = failed(await probe(broker.port, mqtt_version=version, **LOGIN))
    assert (step.name, step.code) == ("mqtt", code)


async def test_what_a_broker_gives_for_its_reason_is_shown() -> None:
    reason = b"licence expired \x1b[31m\xff"
    properties = b"\x1f" + len(reason).to_bytes(2, "big") + reason
    connack = packet(0x20, b"\0\x97" + bytes((len(properties),)) + properties)
    async with peer(says(connack)) as broker:
        step = failed(await probe(broker.port, mqtt_version="5"))
    assert "Quota exceeded (licence expired ?[31m" in step.seen


async def test_a_closed_port() -> None:
    step = failed(await probe(free_port()))
    assert (step.name, step.code) == ("tcp", "broker.unreachable")
    assert "refused" in step.seen


async def test_a_name_that_does_not_resolve() -> None:
    step = failed(await probe(1883, host="no-such-host.invalid"))
    assert (step.name, step.code) == ("dns", "broker.unreachable")
    assert step.next_action is not None
    assert "`host`" in step.next_action


async def test_an_address_that_may_not_be_connected_to() -> None:
    async with peer(silent) as ours:
        step = failed(await probe(ours.port, network=Network(Policy())))
        assert (step.name, step.code) == ("address", "address.forbidden")
        assert ours.connections == 0


async def test_a_subscription_that_is_refused_does_not_end_the_test() -> None:
    """Brokers that refuse say 0x80 in 3.1.1; Mosquitto grants whatever it will not deliver."""
    answers = [packet(0x90, b"\0\x01\x80"), packet(0x90, b"\0\x02\x00"), packet(0x90, b"\0\x03\x01")]
    async with peer(says(ACCEPTED_311, *answers)) as broker:
        topics = tuple(TopicFilter(filter=each) for each in ("secret/#", "plant/a", "plant/b"))
        tested = await probe(broker.port, topics=topics)
    first, second, third = tested.steps[-3:]
    assert (first.ok, first.code, first.topic) == (False, "subscription.refused", topics[0])
    assert second.ok
    assert "granted with QoS 0, not with the 1 asked for" in second.seen
    assert third.ok
    assert third.seen.endswith("granted with QoS 1")


async def test_a_subscription_that_mqtt_5_refuses_with_a_reason() -> None:
    suback = packet(0x90, b"\0\x01\x00\x87")
    async with peer(says(ACCEPTED_5, suback)) as broker:
        step = failed(await probe(broker.port, mqtt_version="5"))
    assert (step.code, "Not authorized" in step.seen) == ("subscription.refused", True)


async def test_a_broker_that_hangs_up_at_a_filter_names_the_filter() -> None:
    async with peer(says(ACCEPTED_311, packet(0x90, b"\0\x01\x01"), then=says(b"", then=closing))) as broker:
        topics = tuple(TopicFilter(filter=each) for each in ("a", "forbidden/#", "c"))
        step = failed(await probe(broker.port, topics=topics))
    assert (step.name, step.topic, step.code) == ("subscribe", topics[1], "subscription.refused")
    assert "hung up at SUBSCRIBE to forbidden/#" in step.seen


async def test_a_hundred_filters_fit_the_time(mosquitto: MakeMosquitto) -> None:
    topics = tuple(TopicFilter(filter=f"plant/{number}/#", qos=2) for number in range(100))
    tested = await probe(mosquitto().port, topics=topics)
    assert tested.ok
    assert [step.topic for step in tested.steps if step.name == "subscribe"] == list(topics)
