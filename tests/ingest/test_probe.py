"""The connection test as ingest answers it: with whose secrets, how many at once, and what is told meanwhile."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from contracts.broker_settings import broker_settings
from contracts.broker_topics import DEFAULT_TOPICS, TopicFilter
from contracts.connection_test import TEST_CONNECTION
from deploy.local.nats import NatsServer
from deploy.local.ports import LOOPBACK
from runtime.rpc import STEPS, encode
from services.ingest.connection_tests import PER_ORGANIZATION_MAX
from tests.conftest import MakeMosquitto, RunService
from tests.ingest.conftest import World, open_world
from tests.support.clients import platform_client
from tests.support.eventually import eventually
from tests.support.hostile import peer, silent
from tests.support.service import Service

USERS = {"bridge": "secret"}


async def probe(world: World, port: int, host: str = LOOPBACK, **more: Any) -> dict[str, Any]:
    settings = broker_settings(host=host, port=port, **more.pop("settings", {}))
    answer = await world.call(TEST_CONNECTION, settings=settings, **more)
    result: dict[str, Any] = answer["ok"]
    return result


def names(result: dict[str, Any]) -> list[str]:
    return [step["name"] for step in result["steps"]]


async def test_steps_are_told_to_the_caller_as_they_happen(
    world: World, own_nats: NatsServer, ingest: Service
) -> None:
    """The peer answers no CONNECT: what was before is told long before the end."""
    settings = broker_settings(host=LOOPBACK, port=1)
    async with peer(silent) as mute, platform_client(own_nats, "gateway") as gateway:
        settings = broker_settings(host=LOOPBACK, port=mute.port)
        request = TEST_CONNECTION.request(
            organization=world.organization, actor="test", settings=settings, topics=DEFAULT_TOPICS
        )
        inbox = gateway.new_inbox()
        replies = await gateway.subscribe(inbox)
        await gateway.publish(TEST_CONNECTION.subject, encode(request), reply=inbox, headers={STEPS: "1"})
        loop = asyncio.get_running_loop()
        told, times = [], []
        while True:
            body = json.loads((await replies.next_msg(timeout=15)).data)
            times.append(loop.time())
            if "step" not in body:
                break
            told.append(body["step"])
    assert [step["name"] for step in told] == ["dns", "address", "tcp", "mqtt"]
    assert body["ok"]["steps"] == told
    assert times[3] - times[2] > 3, "the third step came when it was taken, not at the end"


async def test_the_password_of_a_saved_integration_is_used(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(users=USERS)
    saved = await world.create(broker.port, username="bridge", password="secret")
    assert (await probe(world, broker.port, settings={"username": "bridge"}, integration=saved))["ok"]


async def test_a_password_that_is_sent_goes_before_the_saved_one(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(users=USERS)
    saved = await world.create(broker.port, username="bridge", password="old")
    sent: dict[str, Any] = {"settings": {"username": "bridge"}, "integration": saved}
    assert (await probe(world, broker.port, **sent, secrets={"password": "secret"}))["ok"]
    assert not (await probe(world, broker.port, **sent))["ok"]

    async def told() -> bool:
        tests = [event for event in await world.activity() if event.kind == "integration.tested"]
        assert [(each.status, each.reason) for each in tests] == [
            ("ok", None),
            ("failed", "broker.credentials"),
        ]
        assert all(each.subject == f"integration:{saved}" and each.duration_ms for each in tests)
        assert not any("secret" in each.model_dump_json() for each in tests)
        return True

    await eventually(told)


async def test_another_organizations_integration_is_not_found(
    world: World, own_nats: NatsServer, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(users=USERS)
    saved = await world.create(broker.port, username="bridge", password="secret")
    async with open_world(own_nats) as stranger:
        settings = broker_settings(host=LOOPBACK, port=broker.port, username="bridge")
        answer = await stranger.call(TEST_CONNECTION, settings=settings, integration=saved)
    assert answer["failure"]["code"] == "not_found"


async def test_without_topics_the_default_filters_are_tested(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    result = await probe(world, mosquitto().port)
    tested = [step["topic"]["filter"] for step in result["steps"] if step["name"] == "subscribe"]
    assert tested == [topic.filter for topic in DEFAULT_TOPICS]


async def test_an_organization_has_so_many_tests_at_once_and_takes_nobody_elses_place(
    world: World, own_nats: NatsServer, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    async with peer(silent) as mute:
        waiting = [asyncio.create_task(probe(world, mute.port)) for _ in range(PER_ORGANIZATION_MAX)]
        await eventually(lambda: mute.connections >= PER_ORGANIZATION_MAX)
        settings = broker_settings(host=LOOPBACK, port=mute.port)
        refused = await world.call(TEST_CONNECTION, settings=settings)
        assert refused["failure"]["code"] == "limit.reached"
        async with open_world(own_nats) as other:
            topics = (TopicFilter(filter="a/#"),)
            assert (await probe(other, mosquitto().port, topics=topics))["ok"]
        assert not [task for task in waiting if task.done()]
        await asyncio.gather(*waiting)
        assert not (await probe(world, mute.port))["ok"]  # the places are free again


async def test_a_private_address_is_refused_where_tenants_are_strangers(
    world: World, own_nats: NatsServer, ingest: Service, run_service: RunService
) -> None:
    ingest.process.stop()
    strict = run_service("ingest", own_nats, ALLOWED_NETWORKS="")
    try:
        for host in ("127.0.0.1", "localhost", "127.1", "0x7f000001", "0", "169.254.169.254", "::1"):
            result = await probe(world, 1883, host)
            assert names(result) == ["dns", "address"], host
            assert result["steps"][1]["code"] == "address.forbidden"
    finally:
        strict.process.stop()
        await asyncio.to_thread(ingest.start)
