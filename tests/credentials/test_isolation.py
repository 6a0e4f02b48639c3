"""Two organizations on one broker: neither reads, writes, disturbs nor learns of the other."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import aiomqtt
import pytest

from contracts import subjects
from contracts.credentials import CredentialWithPassword
from contracts.organizations import OrganizationIssued
from contracts.streams import MESSAGES
from runtime.bus import Bus
from tests.credentials.parts import (
    CredentialsService,
    assert_refused,
    device_client,
    entries,
    new_device,
    new_organization,
    vanish_with_will,
)
from tests.support.clients import platform_mqtt_client
from tests.support.eventually import eventually


@dataclass
class Two:
    """Each with a device that may do all that a credential can."""

    victim: OrganizationIssued
    victims_device: CredentialWithPassword
    intruder: OrganizationIssued
    intruders_device: CredentialWithPassword


@pytest.fixture
async def two(gateway: Bus) -> Two:
    victim, intruder = await new_organization(gateway, "Victim"), await new_organization(gateway, "Intruder")
    everything = {"publish": ["devices/#", "commands/#"], "subscribe": ["#"]}
    return Two(
        victim,
        await new_device(gateway, victim, **everything),
        intruder,
        await new_device(gateway, intruder, **everything),
    )


FILTERS = [
    "#",
    "+/#",
    "+/devices/#",
    "+/devices/+/telemetry",
    "+/+/+/+",
    "/#",
    "{victim}/#",
    "{victim}/devices/#",
    "{victim}/devices/d1/telemetry",
    "{victim}/+/d1/+",
    "{intruder}/../{victim}/devices/#",
    "$MQTT/#",
    "$MQTT/sub/#",
    "$MQTT/msgs/#",
    "$MQTT/rmsgs/#",
    "$MQTT/deliver/pubrel/#",
    "$SYS/#",
    "$JS/#",
    "$share/g/{victim}/#",
    "$share/g/#",
    "_INBOX/#",
    ">",
    "*/devices/>",
    "{victim}.>",
]


async def heard_by(
    service: CredentialsService,
    publisher: CredentialWithPassword,
    listener: CredentialWithPassword,
    filter: str,
) -> list[str]:
    """Topics that the listener gets of what the publisher sends in every QoS, retained and not."""
    end = f"{listener.topic_prefix}/commands/end"
    topic = f"{publisher.topic_prefix}/devices/d1/telemetry"
    heard: list[str] = []
    async with (
        device_client(service, publisher) as sending,
        platform_mqtt_client(service.nats) as platform,
    ):
        await sending.publish(topic, b"retained before", qos=1, retain=True)
        with suppress(aiomqtt.MqttError):  # some filters the server answers by hanging up
            async with device_client(service, listener, client_id=f"{listener.client_id}-ears") as ears:
                await ears.subscribe(end, qos=1)
                await ears.subscribe(filter, qos=2)
                for qos in (0, 1, 2):
                    await sending.publish(topic, b"secret", qos=qos)
                await sending.publish(topic, b"retained", qos=1, retain=True)
                await platform.publish(end, b"", qos=1)
                async for message in ears.messages:
                    if message.topic.value == end:
                        break
                    heard.append(message.topic.value)
    return heard


@pytest.mark.parametrize("filter", FILTERS)
async def test_no_filter_reaches_another_tenants_messages(
    service: CredentialsService, two: Two, filter: str
) -> None:
    wanted = filter.format(victim=two.victim.id, intruder=two.intruder.id)
    assert await heard_by(service, two.victims_device, two.intruders_device, wanted) == []


@pytest.mark.parametrize("filter", ["{own}/#", "{own}/devices/+/telemetry"])
async def test_the_same_listener_does_hear_its_own_tenant(
    service: CredentialsService, two: Two, filter: str
) -> None:
    """The control: the test above would hear it if it came through."""
    wanted = filter.format(own=two.victim.id)
    heard = await heard_by(service, two.victims_device, two.victims_device, wanted)
    assert set(heard) == {f"{two.victim.id}/devices/d1/telemetry"}
    assert len(heard) >= 4


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [False, True])
async def test_what_is_published_into_another_tenants_space_arrives_nowhere(
    service: CredentialsService, two: Two, qos: int, retain: bool
) -> None:
    end = f"{two.victim.id}/commands/end"
    heard: list[str] = []
    async with device_client(service, two.victims_device) as victim:
        await victim.subscribe(f"{two.victim.id}/#", qos=1)
        async with device_client(service, two.intruders_device) as intruder:
            for topic in (f"{two.victim.id}/devices/d1/telemetry", f"{two.victim.id}/commands/d1/go"):
                await intruder.publish(topic, b"forged", qos=qos, retain=retain)
            await intruder.publish(f"{two.intruder.id}/devices/d1/own", b"own", qos=1)
        async with platform_mqtt_client(service.nats) as platform:
            await platform.publish(end, b"", qos=1)
        async for message in victim.messages:
            heard.append(message.topic.value)
            if message.topic.value == end:
                break
        # a later subscriber is shown what is retained
        async with device_client(
            service, two.victims_device, client_id=f"{two.victims_device.client_id}-2"
        ) as late:
            await late.subscribe(f"{two.victim.id}/#", qos=1)
            await victim.publish(f"{two.victim.id}/devices/d1/last", b"", qos=1)
            async for message in late.messages:
                heard.append(message.topic.value)
                break
    assert heard == [end, f"{two.victim.id}/devices/d1/last"]
    # The log takes them from the broker in their order: once the intruder's own is there, the forged would be, too.
    own = await eventually(lambda: _stored(service, two.intruder.id))
    assert [subject.split(".")[-1] for subject in own] == ["own"]
    assert all("last" in subject for subject in await _stored(service, two.victim.id))


async def _stored(service: CredentialsService, organization: str) -> list[str]:
    found = await entries(service.nats, "telemetry", MESSAGES.name)
    return [
        entry.subject
        for entry in found
        if entry.subject.startswith("message.") and organization in entry.subject
    ]


async def test_a_will_into_another_tenants_space_is_not_carried_out(
    service: CredentialsService, two: Two
) -> None:
    end = f"{two.victim.id}/commands/end"
    own = f"{two.intruder.id}/devices/d1/status"
    device = two.intruders_device
    async with device_client(service, two.victims_device) as victim:
        await victim.subscribe(f"{two.victim.id}/#", qos=1)
        async with device_client(service, device, client_id=f"{device.client_id}-watch") as watch:
            await watch.subscribe(f"{two.intruder.id}/#", qos=1)
            forged = f"{two.victim.id}/devices/d1/status"
            await vanish_with_will(service, device, "-1", forged, b"forged will")
            # one's own will does arrive: by then the forged one had its chance
            await vanish_with_will(service, device, "-2", own, b"own will")
            assert (await anext(watch.messages)).payload == b"own will"
        async with platform_mqtt_client(service.nats) as platform:
            await platform.publish(end, b"", qos=1)
        assert (await anext(victim.messages)).topic.value == end


async def test_nobody_takes_over_another_tenants_session(service: CredentialsService, two: Two) -> None:
    async with device_client(service, two.victims_device) as victim:
        for client_id in (two.victims_device.client_id, f"{two.victims_device.client_id}-x"):
            await assert_refused(device_client(service, two.intruders_device, client_id=client_id))
        await asyncio.wait_for(
            victim.publish(f"{two.victim.id}/devices/d1/telemetry", b"still here", qos=1), 5
        )


async def test_a_device_of_the_same_tenant_stays_within_its_own_filters(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    one = await new_device(gateway, organization, device_id="d1")
    async with device_client(service, one) as client:
        await client.publish(f"{organization.id}/devices/d2/telemetry", b"forged", qos=1)
        await client.publish(f"{organization.id}/devices/d1", b"no channel", qos=1)
        await client.publish(f"{organization.id}/devices/d1/telemetry", b"own", qos=1)

    async def subjects_stored() -> list[str]:
        return await _stored(service, organization.id)

    stored = await eventually(subjects_stored)
    assert stored == [subjects.hosted_message(organization.id, "d1", "telemetry")]
