"""What a revoked credential would leave at the broker goes with it: will, session, retained messages."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from contextlib import suppress
from typing import Any

import aiomqtt
import pytest

from contracts.organizations import OrganizationIssued
from deploy.local.ports import LOOPBACK
from runtime.bus import Bus
from tests.credentials.parts import CredentialsService, device_client, new_device, new_organization, revoke
from tests.support.eventually import eventually


async def retained(client: aiomqtt.Client, topic: str) -> list[str]:
    """The topics of what is retained below it, as a new subscriber gets it."""
    await client.subscribe(topic, qos=1)
    found: list[str] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            while True:
                message = await anext(client.messages)
                found += [str(message.topic)] if message.retain else []
    await client.unsubscribe(topic)
    return found


@pytest.mark.parametrize("websocket", [False, True], ids=["tcp", "websocket"])
async def test_its_will_does_not_fire(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued, websocket: bool
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    watcher = await new_device(gateway, organization)
    will = aiomqtt.Will(f"{organization.id}/devices/d1/status", b"offline", qos=1, retain=True)
    client = device_client(service, device, websocket=websocket, will=will)
    async with device_client(service, watcher) as watching:
        await watching.subscribe(f"{organization.id}/devices/#", qos=1)
        await client.__aenter__()
        await revoke(gateway, organization, device)
        await asyncio.wait([client._disconnected], timeout=3)
        assert client._disconnected.done()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await anext(watching.messages)
        assert await retained(watching, f"{organization.id}/devices/#") == []
    with suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)


async def test_its_retained_messages_go_and_those_of_others_stay(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    stranger = await new_organization(gateway, "Other")
    device, other = [await new_device(gateway, organization) for _ in range(2)]
    anothers = await new_device(gateway, stranger)
    for owner, who, name in (
        (organization, device, "a"),
        (organization, device, "b.c"),
        (organization, other, "d"),
        (stranger, anothers, "a"),
    ):
        async with device_client(service, who) as client:
            await client.publish(f"{owner.id}/devices/{name}/status", b"on", qos=1, retain=True)
    async with device_client(service, other) as watching:
        everything = f"{organization.id}/devices/#"
        assert len(await retained(watching, everything)) == 3

        await revoke(gateway, organization, device)

        async def left() -> bool:
            return await retained(watching, everything) == [f"{organization.id}/devices/d/status"]

        await eventually(left)
    async with device_client(service, anothers) as watching:
        assert len(await retained(watching, f"{stranger.id}/devices/#")) == 1


async def test_a_topic_that_another_credential_published_since_is_left_alone(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device, other = [await new_device(gateway, organization) for _ in range(2)]
    topic = f"{organization.id}/devices/d/status"
    for who in (device, other):
        async with device_client(service, who) as client:
            await client.publish(topic, b"on", qos=1, retain=True)
    await revoke(gateway, organization, device)
    await asyncio.sleep(1.5)
    async with device_client(service, other) as watching:
        assert await retained(watching, topic) == [topic]


async def test_its_offline_sessions_and_what_is_queued_for_them_go(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    device = await new_device(gateway, organization, device_id="d1")
    sender = await new_device(gateway, organization, publish=("commands/#",))
    client_ids = [device.client_id, f"{device.client_id}-a"]
    for client_id in client_ids:
        async with device_client(service, device, client_id=client_id, clean_session=False) as client:
            await client.subscribe(f"{organization.id}/commands/d1/#", qos=1)
    async with device_client(service, sender) as client:
        await client.publish(f"{organization.id}/commands/d1/go", b"x", qos=1)
    before = await queues(service)
    assert before >= len(client_ids)

    await revoke(gateway, organization, device)

    async def gone() -> bool:
        return await queues(service) <= before - len(client_ids)

    await eventually(gone)


async def queues(service: CredentialsService) -> int:
    """How many subscriptions the server keeps messages for, as its monitor says."""

    def read() -> Any:
        url = f"http://{LOOPBACK}:{service.nats.ports.monitor}/jsz?acc=DEVICES&streams=true&consumers=true"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)

    streams = (await asyncio.to_thread(read))["account_details"][0]["stream_detail"]
    [messages] = [stream for stream in streams if stream["name"] == "$MQTT_msgs"]
    return sum(not each["name"].startswith("JS_SRC_") for each in messages.get("consumer_detail", []))
