"""The mapping of MQTT topics to NATS subjects, held against the server that does it."""

import asyncio
from itertools import product

import nats
import paho.mqtt.client as mqtt
from nats.aio.msg import Msg
from paho.mqtt.enums import CallbackAPIVersion

from contracts.topics import filter_to_subjects, from_subject, matches, to_subject

TOPICS = ["/".join(levels) for n in range(1, 5) for levels in product(["", "a", ".", "x.y"], repeat=n)]
TOPICS = [*filter(None, TOPICS), "org_x/devices/pump.7/telemetry", "ä/漢字", "a/$b", "...", "../..", "a/b./c"]
FILTERS = ["#", "a/#", "+", "+/a", "a/+", "/#", "a//#", "+/+/#", "x.y/+", "./#", "+//+", "a/a/a/a", "/"]


def test_every_topic_becomes_the_subject_that_the_server_gives_it(plain_server: tuple[str, int]) -> None:
    seen = asyncio.run(_received(plain_server, [(">",)]))[0]
    for topic in TOPICS:
        assert seen[topic] == to_subject(topic)
        assert from_subject(seen[topic]) == topic


def test_the_subjects_of_a_filter_receive_what_the_filter_matches(plain_server: tuple[str, int]) -> None:
    received = asyncio.run(_received(plain_server, [filter_to_subjects(filter) for filter in FILTERS]))
    for filter, seen in zip(FILTERS, received, strict=True):
        assert sorted(seen) == sorted(topic for topic in TOPICS if matches(filter, topic)), filter


async def _received(server: tuple[str, int], subscriptions: list[tuple[str, ...]]) -> list[dict[str, str]]:
    """Publish TOPICS over MQTT, and collect topic → subject as each group of NATS subscriptions saw it."""
    connection = await nats.connect(server[0])
    ended = asyncio.Event()
    collected: list[dict[str, str]] = [{} for _ in subscriptions]
    for seen, subjects in zip(collected, subscriptions, strict=True):

        async def note(message: Msg, seen: dict[str, str] = seen) -> None:
            topic = message.data.decode(errors="replace")
            if message.headers and "Nmqtt-Pub" in message.headers and topic != "end":
                assert topic not in seen, f"{topic} came twice"
                seen[topic] = message.subject

        for subject in subjects:
            await connection.subscribe(subject, cb=note)

    async def end(message: Msg) -> None:
        ended.set()

    await connection.subscribe("the.end", cb=end)
    await connection.flush()
    await asyncio.to_thread(_publish, server[1])
    await asyncio.wait_for(ended.wait(), 20)
    await connection.drain()  # what has arrived is handled before the connection closes
    return collected


def _publish(port: int) -> None:
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
    client.connect("127.0.0.1", port)
    client.loop_start()
    for topic in TOPICS:
        client.publish(topic, topic.encode())
    client.publish("the/end", b"end").wait_for_publish(10)
    client.disconnect()
    client.loop_stop()
