"""External links: what their brokers hold reaches MESSAGES, as the registry says and without a restart."""

import asyncio
from pathlib import Path

import pytest

from contracts.broker_topics import TopicFilter
from contracts.messages import StoredMessage
from deploy.local.nats import NatsServer
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World, quiet
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually
from tests.support.service import Service

ALL = (TopicFilter(filter="#", qos=1),)
USERS = {"device": "secret", "bridge": "open sesame"}
LOGIN = {"username": "bridge", "password": "open sesame"}


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_messages_arrive_with_all_that_was_sent(
    world: World, ingest: Service, mosquitto: MakeMosquitto, version: str
) -> None:
    broker = mosquitto(users=USERS)
    topics = (TopicFilter(filter="plant/#", qos=2),)
    link = await world.create(broker.port, topics=topics, mqtt_version=version, **LOGIN)
    await until_up(world)
    async with mqtt_client(broker.port, "device", "secret") as device:
        await device.publish("plant/devices/d1/telemetry", b'{"t": 1}', qos=0)
        await device.publish("plant/devices/d1/telemetry", b"\x00\xff", qos=1, retain=True)
        await device.publish("plant/Größe in m/%41/a b", b"", qos=2)
    found = await until_stored(world, link, 3)
    assert [(m.topic, m.payload, m.qos, m.retain) for m in sorted(found, key=lambda m: m.qos)] == [
        ("plant/devices/d1/telemetry", b'{"t": 1}', 0, False),
        ("plant/devices/d1/telemetry", b"\x00\xff", 1, False),
        ("plant/Größe in m/%41/a b", b"", 2, False),
    ]
    assert {m.source for m in found} == {link}
    assert all(m.traceparent for m in found)


async def test_without_topics_the_default_filters_are_subscribed(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    link = await world.create(broker.port)
    await until_up(world)
    async with mqtt_client(broker.port, None, None) as device:
        for channel in ("telemetry", "status", "other"):
            await device.publish(f"devices/d1/{channel}", channel.encode(), qos=1)
    found = await until_stored(world, link, 2)
    await quiet(0.3)
    assert len(await world.stored(link)) == 2
    assert {m.payload for m in found} == {b"telemetry", b"status"}


async def test_topics_are_edited_over_the_live_connection(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    link = await world.create(broker.port, topics=(TopicFilter(filter="a/#"),))
    other = await world.create(broker.port, topics=(TopicFilter(filter="a/#"),))
    await until_up(world, 2)
    async with mqtt_client(broker.port, None, None) as device:
        await device.publish("a/1", b"before", qos=1)
        await until_stored(world, link, 1)
        await world.change(link, broker.port, topics=(TopicFilter(filter="b/#"),))

        async def taken() -> bool:
            await device.publish("b/1", b"after", qos=1)
            return len(await world.stored(link)) > 1

        await eventually(taken, every_s=0.1)
        await device.publish("a/2", b"not any more", qos=1)
        await until_stored(world, other, 2)
    await quiet(0.2)
    assert {m.topic for m in await world.stored(link)} == {"a/1", "b/1"}
    assert (await world.kinds()).count("link.up") == 2
    assert "link.down" not in await world.kinds()


async def test_other_settings_make_a_new_connection(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    first, second = mosquitto(), mosquitto()
    link = await world.create(first.port, topics=ALL)
    await until_up(world)
    await world.change(link, second.port, topics=ALL)
    await until_up(world, 2)
    async with mqtt_client(second.port, None, None) as device:
        await device.publish("x", b"second", qos=1)
    assert [m.payload for m in await until_stored(world, link, 1)] == [b"second"]


async def test_a_deleted_link_stops_and_leaves_no_session_behind(
    world: World, ingest: Service, mosquitto: MakeMosquitto, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    broker = mosquitto(settings={"log_dest": f"file {log}"})
    link = await world.create(broker.port, topics=ALL)
    other = await world.create(broker.port, topics=ALL)
    await until_up(world, 2)
    await world.delete(link)

    def session_ended() -> bool:
        return f"as {link} (p2, c1" in log.read_text()

    await eventually(session_ended)
    async with mqtt_client(broker.port, None, None) as device:
        await device.publish("x", b"late", qos=1)
    await until_stored(world, other, 1)
    assert await world.stored(link) == []


async def test_a_wrong_password_is_said_once_and_not_insisted_on(
    world: World, ingest: Service, mosquitto: MakeMosquitto, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    broker = mosquitto(users=USERS, settings={"log_dest": f"file {log}"})
    link = await world.create(broker.port, topics=ALL, username="bridge", password="wrong")

    async def refused() -> bool:
        return "link.refused" in await world.kinds()

    await eventually(refused)
    await quiet(2)
    assert log.read_text().count("not authorised") == 1
    [event] = [event for event in await world.activity() if event.kind == "link.refused"]
    assert event.reason == "broker.credentials"
    assert event.subject == f"integration:{link}"
    assert "ot authori" in event.summary
    await world.change(link, broker.port, topics=ALL, **LOGIN)
    await until_up(world)


async def test_what_is_published_while_ingest_is_down_is_found_afterwards(
    own_nats: NatsServer, world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    link = await world.create(broker.port, topics=ALL)
    await until_up(world)
    ingest.process.stop()
    async with mqtt_client(broker.port, None, None) as device:
        for number in range(500):
            await device.publish(f"devices/d{number % 7}/telemetry", f"{number}".encode(), qos=1)
    assert await world.stored(link) == []
    await asyncio.to_thread(ingest.start)
    found = await until_stored(world, link, 500)
    assert sorted(int(m.payload) for m in found) == list(range(500))


async def test_a_broker_that_dies_is_waited_for(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    link = await world.create(broker.port, topics=ALL)
    await until_up(world)
    broker.kill()

    async def down() -> bool:
        return "link.down" in await world.kinds()

    await eventually(down)
    broker.start()
    await until_up(world, 2, timeout_s=20)
    async with mqtt_client(broker.port, None, None) as device:
        await device.publish("x", b"again", qos=1)
    assert [m.payload for m in await until_stored(world, link, 1)] == [b"again"]
    assert [kind for kind in await world.kinds() if kind.startswith("link.")] == [
        "link.up",
        "link.down",
        "link.up",
    ]


async def until_up(world: World, times: int = 1, *, timeout_s: float = 10) -> None:
    async def up() -> bool:
        return (await world.kinds()).count("link.up") == times

    await eventually(up, timeout_s=timeout_s)


async def until_stored(world: World, link: str, count: int) -> list[StoredMessage]:
    async def there() -> bool:
        return len(await world.stored(link)) >= count

    await eventually(there, timeout_s=20)
    return await world.stored(link)
