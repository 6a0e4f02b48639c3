"""Subscriptions of an integration: every one that was added is there, however many at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from contracts.broker_settings import broker_settings
from contracts.broker_topics import TopicFilter
from contracts.failures import Failure, Refused
from contracts.integrations import CREATE_INTEGRATION, GET_INTEGRATION, CreateIntegration, GetIntegration
from contracts.organizations import OrganizationIssued
from contracts.subscriptions import (
    ADD_SUBSCRIPTION,
    REMOVE_SUBSCRIPTION,
    AddSubscription,
    RemoveSubscription,
)
from runtime.bus import Bus
from runtime.rpc import call
from services.credentials.subscription_handlers import topics_after
from tests.credentials.parts import CredentialsService, credentials_service, new_organization

FIRST = TopicFilter(filter="a")


def add(filter: str, qos: Any = 1, **more: Any) -> AddSubscription:
    topic = TopicFilter(filter=filter, qos=qos)
    return AddSubscription(**{"organization": "o", "actor": "k", "id": "int_1", "topic": topic, **more})


def remove(filter: str, **more: Any) -> RemoveSubscription:
    return RemoveSubscription(**{"organization": "o", "actor": "k", "id": "int_1", "filter": filter, **more})


def test_one_is_added_at_the_end_and_changed_in_its_place() -> None:
    both = topics_after(add("b"), (FIRST,))
    assert both == (FIRST, TopicFilter(filter="b"))
    assert topics_after(add("a", 2), both) == (TopicFilter(filter="a", qos=2), TopicFilter(filter="b"))


def test_the_last_one_stays_and_an_unknown_one_is_not_found() -> None:
    assert topics_after(remove("a"), (FIRST, TopicFilter(filter="b"))) == (TopicFilter(filter="b"),)
    for filter, code in (("a", "request.invalid"), ("b", "not_found")):
        with pytest.raises(Refused) as refused:
            topics_after(remove(filter), (FIRST,))
        assert refused.value.code == code


def test_a_hundred_are_enough() -> None:
    held = tuple(TopicFilter(filter=f"t/{number}") for number in range(100))
    assert len(topics_after(add("t/5", 0), held)) == 100
    with pytest.raises(Refused) as refused:
        topics_after(add("t/100"), held)
    assert refused.value.code == "limit.reached"


async def integration(gateway: Bus, organization: OrganizationIssued) -> str:
    request = CreateIntegration(
        organization=organization.id,
        actor="k",
        name="plant",
        settings=broker_settings(host="broker.example", port=1883),
        topics=(FIRST,),
    )
    return (await call(gateway, CREATE_INTEGRATION, request)).id


async def filters(gateway: Bus, organization: str, id: str) -> set[str]:
    asked = GetIntegration(organization=organization, actor="k", id=id)
    return {topic.filter for topic in (await call(gateway, GET_INTEGRATION, asked)).topics}


async def test_of_many_at_once_all_are_there(gateway: Bus, organization: OrganizationIssued) -> None:
    id = await integration(gateway, organization)
    who = {"organization": organization.id, "id": id}
    await asyncio.gather(*(call(gateway, ADD_SUBSCRIPTION, add(f"t/{n}", **who)) for n in range(20)))
    assert await filters(gateway, organization.id, id) == {"a", *(f"t/{n}" for n in range(20))}
    gone = [call(gateway, REMOVE_SUBSCRIPTION, remove(f"t/{n}", **who)) for n in range(0, 20, 2)]
    come = [call(gateway, ADD_SUBSCRIPTION, add(f"u/{n}", **who)) for n in range(5)]
    await asyncio.gather(*gone, *come)
    expected = {"a", *(f"t/{n}" for n in range(1, 20, 2)), *(f"u/{n}" for n in range(5))}
    assert await filters(gateway, organization.id, id) == expected


async def test_of_two_replicas_at_the_same_moment_both_win(
    service: CredentialsService,
    gateway: Bus,
    organization: OrganizationIssued,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Which replica takes which request is the bus's choice: of forty, each has some."""
    second = credentials_service(service.nats, tmp_path_factory.mktemp("second"))
    second.running.start()
    try:
        id = await integration(gateway, organization)
        who = {"organization": organization.id, "id": id}
        for turn in range(10):
            adds = [call(gateway, ADD_SUBSCRIPTION, add(f"{turn}/{n}", **who)) for n in range(4)]
            await asyncio.gather(*adds)
        found = await filters(gateway, organization.id, id)
    finally:
        second.running.process.stop()
    assert found == {"a", *(f"{turn}/{n}" for turn in range(10) for n in range(4))}


async def test_another_organization_and_the_hosted_broker_have_none(
    gateway: Bus, organization: OrganizationIssued
) -> None:
    id = await integration(gateway, organization)
    other = await new_organization(gateway, "Other")
    for who, code in (
        ({"organization": other.id, "id": id}, "not_found"),
        ({"organization": organization.id, "id": "hosted"}, "integration.hosted"),
        ({"organization": organization.id, "id": "int_0000000000000000"}, "not_found"),
    ):
        for asked in (
            call(gateway, ADD_SUBSCRIPTION, add("x", **who)),
            call(gateway, REMOVE_SUBSCRIPTION, remove("a", **who)),
        ):
            with pytest.raises(Failure) as refused:
                await asked
            assert refused.value.code == code
    assert await filters(gateway, organization.id, id) == {"a"}


@pytest.mark.parametrize(
    ("filter", "qos", "field"),
    [("plant/#", 1, "filter"), ("devices/gw-1/messages/devicebound/#", 2, "qos")],
)
async def test_what_a_provider_does_not_take_is_named_as_the_caller_sent_it(
    gateway: Bus, organization: OrganizationIssued, filter: str, qos: int, field: str
) -> None:
    hub = CreateIntegration(
        organization=organization.id,
        actor="k",
        name=f"hub {field}",
        settings=broker_settings(auth="azure_sas", host="contoso.azure-devices.net", device_id="gw-1"),
        secrets={"shared_access_key": SecretStr("QUJD" * 8)},
    )
    id = (await call(gateway, CREATE_INTEGRATION, hub)).id
    with pytest.raises(Refused) as refused:
        await call(gateway, ADD_SUBSCRIPTION, add(filter, qos, organization=organization.id, id=id))
    assert (refused.value.code, refused.value.field) == ("filter.invalid", field)
