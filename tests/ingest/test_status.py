"""What a link says of itself while it is paused, resumed, watched, refused; all over the live connection."""

from pathlib import Path

from contracts.broker_topics import TopicFilter
from contracts.failures import Failure
from contracts.links import GET_STATUS, LinkStatus
from tests.conftest import MakeMosquitto
from tests.ingest.conftest import World, quiet
from tests.support.clients import mqtt_client
from tests.support.eventually import eventually
from tests.support.service import Service

ALL = (TopicFilter(filter="#", qos=1),)
USERS = {"device": "secret", "bridge": "open sesame"}


async def status(world: World, link: str) -> LinkStatus:
    found: LinkStatus = await world.ask_link(GET_STATUS, link)
    return found


async def until(world: World, link: str, state: str, *, timeout_s: float = 15) -> LinkStatus:
    async def so() -> bool:
        try:
            return (await status(world, link)).state == state
        except Failure:
            return False

    await eventually(so, timeout_s=timeout_s)
    return await status(world, link)


async def until_said(world: World, link: str, *kinds: str) -> None:
    """That the activity of a link is this and nothing else."""

    async def said() -> list[str]:
        return [each.kind for each in await world.activity() if each.subject == f"integration:{link}"]

    async def enough() -> bool:
        return len(await said()) >= len(kinds)

    await eventually(enough)
    assert await said() == list(kinds)


async def test_the_status_counts_what_came(world: World, ingest: Service, mosquitto: MakeMosquitto) -> None:
    broker = mosquitto()
    async with mqtt_client(broker.port, None, None) as device:
        await device.publish("a/kept", b"retained", qos=1, retain=True)
        link = await world.create(
            broker.port, topics=(TopicFilter(filter="a/#"), TopicFilter(filter="b/+", qos=2))
        )
        up = await until(world, link, "up")
        assert up.connected_since is not None
        assert (up.reason, up.expected_interval_s, up.last_errors) == (None, None, ())
        for number in range(20):
            await device.publish("b/x" if number % 2 else "a/x", b"12345", qos=1)

        async def counted() -> bool:
            return (await status(world, link)).messages_in == 21

        await eventually(counted)
    found = await status(world, link)
    assert (found.bytes_in, found.retained, found.dropped, found.reconnects) == (108, 1, 0, 0)
    assert {each.filter: each.messages for each in found.subscriptions} == {"a/#": 11, "b/+": 10}
    assert found.last_message_at is not None
    assert found.rate_in_per_s > 0
    assert sum(minute.messages_in for minute in found.minutes) == 21


async def test_a_paused_link_hangs_up_keeps_its_session_and_comes_back_at_once(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    link, other = [await world.create(broker.port, topics=ALL) for _ in range(2)]
    await until(world, link, "up")
    since = (await until(world, other, "up")).since
    await world.pause(link)
    await until(world, link, "paused")
    async with mqtt_client(broker.port, None, None) as device:
        await device.publish("x", b"while paused", qos=1)
    await quiet(0.5)
    assert await world.stored(link) == []
    await world.change(link, broker.port, topics=ALL, keepalive_s=20)  # an edit does not resume it
    await quiet(0.5)
    assert (await status(world, link)).state == "paused"
    await world.resume(link)
    await until(world, link, "up")

    async def stored() -> bool:
        return [message.payload for message in await world.stored(link)] == [b"while paused"]

    await eventually(stored)
    await until_said(world, link, "link.up", "link.paused", "link.resumed", "link.up")
    assert (await status(world, other)).since == since, "another link was touched"


async def test_an_edit_of_a_refused_link_is_tried_at_once(
    world: World, ingest: Service, mosquitto: MakeMosquitto, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    broker = mosquitto(users=USERS, settings={"log_dest": f"file {log}"})
    link = await world.create(broker.port, topics=ALL, username="bridge", password="wrong")
    refused = await until(world, link, "refused")
    assert refused.next_try_at is not None
    assert (refused.next_try_at - refused.since).total_seconds() > 10
    assert [(error.code, error.times) for error in refused.last_errors] == [(refused.reason, 1)]
    assert log.read_text().count("not authorised") == 1
    await world.change(link, broker.port, topics=ALL, username="bridge", password="open sesame")
    await until(world, link, "up", timeout_s=10)


async def test_a_link_that_falls_silent_is_degraded_until_messages_flow(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    link = await world.create(broker.port, topics=ALL)
    await until(world, link, "up")
    await world.watch(link, 1.0)
    silent = await until(world, link, "degraded")
    assert (silent.reason, silent.expected_interval_s, silent.expected_interval_from) == (
        "link.silent",
        1.0,
        "given",
    )
    async with mqtt_client(broker.port, None, None) as device:

        async def flows() -> bool:
            await device.publish("x", b"1", qos=1)
            return (await status(world, link)).state == "up"

        await eventually(flows, every_s=0.4)
    await world.watch(link, None)
    await quiet(2.5)
    assert (await status(world, link)).state == "up"
    await until_said(world, link, "link.up", "link.silent", "link.flowing")


async def test_links_of_a_shared_subscription_share_its_messages(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    topics = (TopicFilter(filter="$share/plant/b/#"),)
    links = [await world.create(broker.port, topics=topics, mqtt_version="5") for _ in range(2)]
    for link in links:
        await until(world, link, "up")
    async with mqtt_client(broker.port, None, None) as device:
        for number in range(40):
            await device.publish("b/x", f"{number}".encode(), qos=1)

    async def stored() -> list[str]:
        return sorted([m.payload.decode() for link in links for m in await world.stored(link)])

    async def all_there() -> bool:
        return len(await stored()) >= 40

    await eventually(all_there)
    assert await stored() == sorted(str(number) for number in range(40))
    counts = [(await status(world, link)).subscriptions[0].messages for link in links]
    assert sum(counts) == 40
    assert min(counts) > 0


async def test_what_the_broker_drops_is_noticed_and_said_and_is_no_message(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(settings={"max_queued_messages": "10", "sys_interval": "1"})
    link = await world.create(broker.port, topics=(TopicFilter(filter="a/#", qos=1),))
    assert (await until(world, link, "up")).dropped_by_broker in (None, 0)

    async def told() -> bool:
        return (await status(world, link)).dropped_by_broker == 0

    await eventually(told)
    await world.pause(link)
    await until(world, link, "paused")
    async with mqtt_client(broker.port, None, None) as device:
        for number in range(100):
            await device.publish("a/x", f"{number}".encode(), qos=1)
    await world.resume(link)
    found = await until(world, link, "degraded")
    assert found.reason == "broker.dropping"
    assert (found.dropped_by_broker or 0) >= 80
    assert {message.topic for message in await world.stored(link)} == {"a/x"}
