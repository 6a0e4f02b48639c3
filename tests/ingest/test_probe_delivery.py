"""A connection test's message there and back, and how the test comes to a broker."""

from __future__ import annotations

import base64

import pytest

from contracts.broker_settings import broker_settings
from contracts.broker_topics import TopicFilter
from services.ingest.probe import login
from tests.conftest import MakeMosquitto
from tests.ingest.probing import LOGIN, failed, names, probe
from tests.support.clients import mqtt_client
from tests.support.hostile import ACCEPTED_5, closing, peer, says
from tests.support.mqtt_wire import packet

USERS = {"bridge": "open sesame"}
GRANTED_5 = packet(0x90, b"\0\x01\0\x01")


@pytest.mark.parametrize("protocol", ["mqtt", "ws"])
@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_a_broker_that_is_ready_passes_every_step(
    mosquitto: MakeMosquitto, protocol: str, version: str
) -> None:
    broker = mosquitto(users=USERS, websocket=True)
    port = broker.websocket_port if protocol == "ws" else broker.port
    assert port
    topics = (TopicFilter(filter="a/#", qos=0), TopicFilter(filter="b/+", qos=2))
    tested = await probe(
        port, topics=topics, protocol=protocol, mqtt_version=version, probe_topic="a/probe", **LOGIN
    )
    assert tested.ok
    opening = ["dns", "address", "tcp", *(["websocket"] if protocol == "ws" else []), "mqtt"]
    assert names(tested) == [*opening, "subscribe", "subscribe", "probe"]
    assert "the message to a/probe came back" in tested.steps[-1].seen


async def test_a_probe_topic_outside_of_the_filters_is_subscribed_to_for_the_test(
    mosquitto: MakeMosquitto,
) -> None:
    tested = await probe(mosquitto().port, probe_topic="elsewhere/probe")
    assert tested.ok
    assert names(tested)[-2:] == ["subscribe", "probe"]


async def test_a_filter_that_is_granted_and_not_delivered(mosquitto: MakeMosquitto) -> None:
    """Mosquitto grants every SUBSCRIBE; its ACL decides at delivery. No SUBACK tells that, a message does."""
    broker = mosquitto(users=USERS, acl=["user bridge", "topic write secret/#", "topic read plant/#"])
    topics = (TopicFilter(filter="secret/#"),)
    assert (await probe(broker.port, topics=topics, **LOGIN)).ok
    step = failed(await probe(broker.port, topics=topics, probe_topic="secret/probe", **LOGIN))
    assert (step.name, step.code) == ("probe", "subscription.silent")
    assert "though secret/# was granted" in step.seen
    assert step.next_action is not None
    assert "ACL" in step.next_action


async def test_a_publish_that_is_forbidden_is_said_by_mqtt_5(mosquitto: MakeMosquitto) -> None:
    broker = mosquitto(users=USERS, acl=["user bridge", "topic read plant/#"])
    step = failed(await probe(broker.port, mqtt_version="5", probe_topic="plant/probe", **LOGIN))
    assert (step.name, step.code) == ("probe", "publish.refused")
    assert "Not authorized" in step.seen


async def test_a_broker_that_hangs_up_at_the_publish() -> None:
    async with peer(says(ACCEPTED_5, GRANTED_5, then=says(b"", then=closing))) as broker:
        step = failed(await probe(broker.port, mqtt_version="5", probe_topic="plant/probe"))
    assert (step.name, step.code) == ("probe", "publish.refused")
    assert "hung up at PUBLISH to plant/probe" in step.seen


async def test_a_broker_that_says_why_it_hangs_up() -> None:
    goodbye = packet(0xE0, b"\x95\0")
    async with peer(says(ACCEPTED_5, GRANTED_5, goodbye)) as broker:
        step = failed(await probe(broker.port, mqtt_version="5", probe_topic="plant/probe"))
    assert "Packet too large" in step.seen


async def test_what_others_publish_meanwhile_is_not_taken_for_the_probe(mosquitto: MakeMosquitto) -> None:
    broker = mosquitto(users=USERS, acl=["user bridge", "topic read plant/#", "user device", "topic #"])
    async with mqtt_client(broker.port, "bridge", "open sesame") as device:
        await device.publish("plant/probe", b"retained", qos=1, retain=True)
    step = failed(await probe(broker.port, probe_topic="plant/probe", **LOGIN))
    assert step.code == "subscription.silent"


async def test_a_test_leaves_the_connection_of_its_client_id_alone(mosquitto: MakeMosquitto) -> None:
    broker = mosquitto()
    async with mqtt_client(broker.port, None, None, identifier="mine") as link:
        assert (await probe(broker.port, client_id="mine")).ok
        await link.publish("still", b"here", qos=1)


def test_a_test_has_a_client_id_of_its_own_and_leaves_no_session() -> None:
    held = login(broker_settings(host="h", client_id="mine"), {"password": "p"})
    assert held.client_id.startswith("hmq-test-")
    assert held.clean


def test_where_the_provider_binds_the_client_id_the_session_is_kept() -> None:
    """A clean session would throw away what the broker holds for the link."""
    azure = broker_settings(host="h.azure-devices.net", auth="azure_sas", protocol="mqtts", device_id="d1")
    held = login(azure, {"shared_access_key": base64.b64encode(b"k").decode()})
    assert (held.client_id, held.clean) == ("d1", False)
    assert (held.password or "").startswith("SharedAccessSignature sr=")
