"""The connection test: each step seen, and the one that fails says what to do next."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from contracts.broker_settings import broker_settings
from contracts.broker_topics import TopicFilter
from contracts.connection_test import TEST_CONNECTION
from deploy.local.nats import NatsServer
from deploy.local.ports import LOOPBACK, free_port
from tests.conftest import MakeMosquitto, RunService
from tests.ingest.conftest import World
from tests.support.clients import mqtt_client
from tests.support.service import Service

USERS = {"bridge": "secret"}


async def probe(world: World, port: int, host: str = LOOPBACK, **more: Any) -> dict[str, Any]:
    settings = broker_settings(host=host, port=port, **more.pop("settings", {}))
    answer = await world.call(TEST_CONNECTION, settings=settings, **more)
    result: dict[str, Any] = answer["ok"]
    assert all(step["duration_ms"] >= 0 for step in result["steps"])
    assert [step["ok"] for step in result["steps"][:-1]] == [True] * (len(result["steps"]) - 1)
    last = result["steps"][-1]
    assert result["ok"] == last["ok"]
    assert (last["next_action"] is None) == last["ok"]
    return result


def names(result: dict[str, Any]) -> list[str]:
    return [step["name"] for step in result["steps"]]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
async def test_a_broker_that_is_ready_passes_every_step(
    world: World, ingest: Service, mosquitto: MakeMosquitto, version: str
) -> None:
    broker = mosquitto(users=USERS)
    topics = (TopicFilter(filter="a/#"), TopicFilter(filter="b/+"))
    settings = {"username": "bridge", "mqtt_version": version}
    result = await probe(world, broker.port, settings=settings, secrets={"password": "secret"}, topics=topics)
    assert result["ok"]
    assert names(result) == ["dns", "address", "tcp", "mqtt", "subscribe", "subscribe"]


async def test_the_password_of_a_saved_integration_is_used(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(users=USERS)
    saved = await world.create(broker.port, username="bridge", password="secret")
    assert (await probe(world, broker.port, settings={"username": "bridge"}, integration=saved))["ok"]


async def test_a_test_does_not_take_over_the_client_id_of_the_link(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto()
    async with mqtt_client(broker.port, None, None, identifier="mine") as link:
        assert (await probe(world, broker.port, settings={"client_id": "mine"}))["ok"]
        await link.publish("still", b"here", qos=1)


async def test_a_wrong_password_is_told_in_words(
    world: World, ingest: Service, mosquitto: MakeMosquitto
) -> None:
    broker = mosquitto(users=USERS)
    result = await probe(world, broker.port, settings={"username": "bridge"}, secrets={"password": "no"})
    assert names(result)[-1] == "mqtt"
    assert "ot authori" in result["steps"][-1]["seen"]
    assert "password" in result["steps"][-1]["next_action"]


async def test_a_name_that_does_not_exist(world: World, ingest: Service) -> None:
    assert names(await probe(world, 1883, "no-such-host.invalid")) == ["dns"]


async def test_a_closed_port(world: World, ingest: Service) -> None:
    result = await probe(world, free_port())
    assert names(result) == ["dns", "address", "tcp"]
    assert "refused" in result["steps"][-1]["seen"].lower()


async def test_a_host_that_says_nothing(world: World, ingest: Service) -> None:
    async with listener(lambda _, __: asyncio.sleep(30)) as port:
        result = await probe(world, port)
    assert names(result)[-1] == "mqtt"
    assert "no CONNACK" in result["steps"][-1]["seen"]


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"\x20\x00"])
async def test_a_server_that_speaks_something_else(world: World, ingest: Service, greeting: bytes) -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await writer.drain()
        writer.close()

    async with listener(greet) as port:
        result = await probe(world, port)
    assert names(result)[-1] == "mqtt"
    assert "MQTT" in result["steps"][-1]["seen"]


async def test_a_private_address_is_refused_where_tenants_are_strangers(
    world: World, own_nats: NatsServer, ingest: Service, run_service: RunService
) -> None:
    ingest.process.stop()
    strict = run_service("ingest", own_nats, ALLOWED_NETWORKS="")
    try:
        for host in ("127.0.0.1", "localhost", "127.1", "0x7f000001", "0", "169.254.169.254", "[::1]"):
            result = await probe(world, 1883, host.strip("[]"))
            assert names(result) == ["dns", "address"], host
            assert not result["ok"]
    finally:
        strict.process.stop()


@asynccontextmanager
async def listener(answer: Callable[[Any, Any], Any]) -> AsyncIterator[int]:
    server = await asyncio.start_server(answer, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
