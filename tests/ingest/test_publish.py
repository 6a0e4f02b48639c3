"""Publishing out: with QoS and retain, on an external broker and on the hosted one."""

import base64
import json
from typing import Any

import pytest
from nats.errors import NoRespondersError

from contracts.publishing import (
    PUBLISH,
    PUBLISH_BATCH,
    PUBLISH_BATCH_TO_LINK,
    PUBLISH_TO_LINK,
    Message,
    Publish,
)
from contracts.subjects import HOSTED
from deploy.local.nats import NatsServer
from deploy.local.stack import says_ready
from runtime.rpc import encode
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World
from tests.support.clients import mqtt_client, platform_mqtt_client
from tests.support.eventually import eventually
from tests.support.service import Service


async def publish(
    world: World, integration: str, topic: str, payload: bytes = b"on", **more: Any
) -> dict[str, Any]:
    message = Message(topic=topic, payload=base64.b64encode(payload).decode(), **more)
    call = PUBLISH if integration == HOSTED else PUBLISH_TO_LINK.at(world.organization, integration)
    try:
        answer: dict[str, Any] = await world.call(call, integration=integration, message=message)
    except NoRespondersError:
        return {"failure": {"code": call.nobody}}
    return answer


async def batch(world: World, integration: str, *messages: dict[str, Any]) -> dict[str, Any]:
    """Messages of `topic`, `payload` (bytes) and more."""
    encoded = [
        Message(**{**message, "payload": base64.b64encode(message["payload"]).decode()})
        for message in messages
    ]
    call = (
        PUBLISH_BATCH if integration == HOSTED else PUBLISH_BATCH_TO_LINK.at(world.organization, integration)
    )
    answer: dict[str, Any] = await world.call(call, integration=integration, messages=tuple(encoded))
    return answer


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_retained_publish_reaches_the_external_broker(
    world: World, ingest: Service, mosquitto: MakeMosquitto, qos: int, version: str
) -> None:
    broker = mosquitto()
    link = await world.create(broker.port, mqtt_version=version)

    async def up() -> bool:
        return "link.up" in await world.kinds()

    await eventually(up)
    answer = await publish(world, link, "lamp/set", qos=qos, retain=True)
    assert answer["ok"]["acknowledged"] == (qos > 0)
    async with mqtt_client(broker.port, None, None) as late:
        await late.subscribe("lamp/#", qos=2)
        message = await anext(late.messages)
    assert (str(message.topic), message.payload, message.qos, message.retain) == (
        "lamp/set",
        b"on",
        qos,
        True,
    )

    async def told() -> bool:
        return "publish.ok" in await world.kinds()

    assert await eventually(told)


async def test_a_link_that_is_not_connected_says_so(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    assert (await publish(world, "int_unknown", "x"))["failure"]["code"] == "link.down"
    broker = mosquitto()
    link = await world.create(broker.port)
    broker.kill()

    async def said() -> bool:
        answer = await publish(world, link, "x")
        return "publish.failed" in await world.kinds() and bool(answer["failure"]["code"] == "link.down")

    await eventually(said)


async def test_what_the_broker_said_is_the_answer(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(acl=["topic readwrite devices/#"])
    link = await connected(world, broker.port, mqtt_version="5")
    refused = await publish(world, link, "elsewhere", qos=1)
    assert (refused["failure"]["code"], refused["failure"]["detail"]) == (
        "broker.refused",
        "the broker refused it: Not authorized",
    )
    unheard = await publish(world, link, "devices/d1/set", qos=1)
    assert unheard["ok"]["remark"] == "No matching subscribers"


async def connected(world: World, port: int, **settings: Any) -> str:
    link = await world.create(port, **settings)

    async def up() -> bool:
        return "link.up" in await world.kinds()

    await eventually(up)
    return link


async def test_a_batch_has_a_result_each_and_one_entry_in_the_activity(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(acl=["topic readwrite devices/#"])
    link = await connected(world, broker.port, mqtt_version="5")
    async with mqtt_client(broker.port, None, None) as device:
        await device.subscribe("devices/#", qos=2)
        answer = await batch(
            world,
            link,
            {"topic": "devices/d1/0", "payload": b"0"},
            {"topic": "elsewhere", "payload": b"1", "qos": 1},
            {"topic": "devices/d1/2", "payload": b"2", "qos": 1},
            {"topic": "elsewhere", "payload": b"3", "qos": 2},
            {"topic": "devices/d1/4", "payload": b"4", "qos": 2, "retain": True},
            {"topic": "devices/#", "payload": b"5"},
            {"topic": "devices/d1/6", "payload": b"x" * (256 * 1024 + 1)},
        )
        heard = [(await anext(device.messages)).payload for _ in range(3)]
    outcomes = answer["ok"]["outcomes"]
    codes = [(outcome["failure"] or {}).get("code") for outcome in outcomes]
    assert codes == [
        None,
        "broker.refused",
        None,
        "broker.refused",
        None,
        "topic.invalid",
        "payload.too_large",
    ]
    assert [outcome["acknowledged"] for outcome in outcomes[::2]] == [False, True, True, False]
    assert heard == [b"0", b"2", b"4"]

    async def told() -> bool:
        entries = [event for event in await world.activity() if event.kind.startswith("publish.")]
        [entry] = entries
        assert entry.status == "failed"
        assert entry.details["messages"] == 7
        assert entry.details["failed"] == {
            "broker.refused": 2,
            "topic.invalid": 1,
            "payload.too_large": 1,
        }
        return True

    await eventually(told)


async def test_a_thousand_at_once_arrive_in_their_order(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    link = await connected(world, broker.port)
    async with mqtt_client(broker.port, None, None) as device:
        await device.subscribe("devices/#", qos=1)
        messages = [
            {"topic": f"devices/d{number}/set", "payload": b"x" * 100, "qos": 1} for number in range(1000)
        ]
        answer = await batch(world, link, *messages)
        assert all(outcome["acknowledged"] for outcome in answer["ok"]["outcomes"])
        topics = [str((await anext(device.messages)).topic) for _ in messages]
    assert topics == [message["topic"] for message in messages]


async def test_a_batch_to_the_hosted_broker_stays_within_its_own_space(
    own_nats: NatsServer, world: World, ingest: Service
) -> None:
    answer = await batch(
        world,
        HOSTED,
        {"topic": "commands/d1/set", "payload": b"1", "qos": 1},
        {"topic": "org_somebodyelse0000/commands/d1/set", "payload": b"1", "qos": 1},
    )
    codes = [(outcome["failure"] or {}).get("code") for outcome in answer["ok"]["outcomes"]]
    assert codes == [None, "topic.forbidden"]


async def test_a_link_takes_no_other_organizations_publish(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    """Whatever a request says of itself, it is the subject's link that is spoken to."""
    link = await connected(world, mosquitto().port)
    call = PUBLISH_TO_LINK.at(world.organization, link)
    message = Message(topic="x", payload="")
    body = encode(
        Publish(organization="org_somebodyelse0000", actor="test", integration=link, message=message)
    )
    reply = await world._clients["gateway"].request(call.subject, body, timeout=5)
    assert json.loads(reply.data)["failure"]["code"] == "not_found"


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_command_reaches_a_hosted_device(
    own_nats: NatsServer, world: World, ingest: Service, qos: int
) -> None:
    answer = await publish(world, "hosted", "commands/d1/set", qos=qos, retain=True)
    assert answer["ok"]["acknowledged"] == (qos > 0)


@pytest.mark.parametrize("qos", [0, 1])
async def test_what_is_published_as_a_device_is_a_message_of_it(
    own_nats: NatsServer, world: World, ingest: Service, qos: int
) -> None:
    await publish(world, "hosted", f"{world.organization}/devices/d1/telemetry", b"21.5", qos=qos)

    async def there() -> bool:
        return bool(await world.stored("hosted"))

    await eventually(there)
    [message] = await world.stored("hosted")
    assert (message.topic, message.payload) == (f"{world.organization}/devices/d1/telemetry", b"21.5")


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        ("org_somebodyelse0000/devices/d1/telemetry", "topic.forbidden"),
        ("somewhere", "topic.forbidden"),
        ("$SYS/x", "topic.invalid"),
        ("devices/+/x", "topic.invalid"),
        ("devices/d1/>", "topic.invalid"),
        ("devices/d1/a b", "topic.invalid"),
        ("devices/d1", "topic.invalid"),
    ],
)
async def test_outside_its_own_space_nothing_is_published(
    world: World, ingest: Service, topic: str, code: str
) -> None:
    answer = await publish(world, "hosted", topic)
    assert answer["failure"]["code"] == code


async def test_the_hosted_broker_is_found_again_after_a_restart(
    own_nats: NatsServer, world: World, ingest: Service
) -> None:
    own_nats.kill()
    own_nats.start()
    await eventually(lambda: says_ready(ingest.port))

    async def published() -> bool:
        return "ok" in await publish(world, "hosted", "devices/d1/telemetry", qos=1)

    await eventually(published, timeout_s=20, every_s=0.2)
    async with platform_mqtt_client(own_nats) as client:
        await client.publish(f"{world.organization}/devices/d1/telemetry", b"0")
