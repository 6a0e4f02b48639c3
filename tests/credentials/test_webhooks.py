"""Webhooks in the registry: bounded, their secrets shown once and erased, each organization's own."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from contracts.broker_settings import broker_settings
from contracts.broker_topics import TopicFilter
from contracts.failures import Refused
from contracts.integrations import (
    CREATE_INTEGRATION,
    DELETE_INTEGRATION,
    READ_SECRET,
    CreateIntegration,
    DeleteIntegration,
    ReadSecret,
)
from contracts.organizations import List, OrganizationIssued
from contracts.streams import REGISTRY
from contracts.subjects import registry
from contracts.subscriptions import (
    ADD_SUBSCRIPTION,
    REMOVE_SUBSCRIPTION,
    AddSubscription,
    RemoveSubscription,
)
from contracts.upcasts import decode
from contracts.webhooks import (
    CHANGE_WEBHOOK,
    CREATE_WEBHOOK,
    DELETE_WEBHOOK,
    GET_WEBHOOK,
    LIST_WEBHOOKS,
    PAUSE_WEBHOOK,
    RESUME_WEBHOOK,
    ROTATE_WEBHOOK,
    WEBHOOKS_MAX,
    ChangeWebhook,
    CreateWebhook,
    DeleteWebhook,
    GetWebhook,
    PauseWebhook,
    ResumeWebhook,
    RotateWebhookSecret,
    WebhookWithSecret,
)
from runtime.bus import Bus
from runtime.rpc import call
from tests.credentials.parts import (
    CredentialsService,
    entries,
    new_organization,
    platform_bus,
    refused,
)
from tests.credentials.test_webhooks_pure import URL, settings


async def create(bus: Bus, organization: str, **fields: Any) -> WebhookWithSecret:
    headers = fields.pop("headers", {})
    command_id = fields.pop("command_id", None)
    wanted = CreateWebhook(
        organization=organization,
        actor="key:k",
        command_id=command_id,
        settings=settings(**fields),
        headers=headers,
    )
    return await call(bus, CREATE_WEBHOOK, wanted)


async def references(service: CredentialsService, organization: str, id: str) -> dict[str, str]:
    """As the webhook's last event with secrets has them."""
    found: dict[str, str] = {}
    for entry in await entries(service.nats, "credentials", REGISTRY.name):
        if entry.subject == registry(organization, "webhook", id):
            recorded = decode(entry.headers, entry.data)
            assert recorded is not None
            found = getattr(recorded.event, "secrets", found)
    return found


async def secret(bus: Bus, organization: str, id: str, field: str, reference: str) -> str:
    asked = ReadSecret(organization=organization, integration=id, field=field, reference=reference)
    return (await call(bus, READ_SECRET, asked)).value.get_secret_value()


@pytest.fixture
async def ingest(service: CredentialsService) -> Any:
    """A bus with ingest's rights, which alone may read secrets."""
    bus = await platform_bus(service.nats, "ingest")
    yield bus
    await bus.broker.stop()


async def test_a_secret_is_shown_once_and_told_to_ingest_alone(
    service: CredentialsService, gateway: Bus, ingest: Bus, organization: OrganizationIssued
) -> None:
    made = await create(gateway, organization.id, headers={"Authorization": "Bearer hush"})
    assert len(base64.b64decode(made.secret.removeprefix("whsec_"))) == 32
    shown = await call(gateway, GET_WEBHOOK, GetWebhook(organization=organization.id, actor="k", id=made.id))
    assert (shown.headers, shown.paused) == (("Authorization",), None)
    assert "hush" not in shown.model_dump_json()
    assert made.secret not in shown.model_dump_json()
    held = await references(service, organization.id, made.id)
    assert await secret(ingest, organization.id, made.id, "secret", held["secret"]) == made.secret
    assert "hush" in await secret(ingest, organization.id, made.id, "headers", held["headers"])
    with pytest.raises(Refused):
        await secret(ingest, "org_other00000000000", made.id, "secret", held["secret"])
    for entry in await entries(service.nats, "credentials", REGISTRY.name):
        assert b"hush" not in entry.data
        assert made.secret.encode() not in entry.data


async def test_the_same_request_again_shows_the_same_secret_and_that_is_the_one_that_signs(
    service: CredentialsService, gateway: Bus, ingest: Bus, organization: OrganizationIssued
) -> None:
    first = await create(gateway, organization.id, command_id="c1")
    again = await create(gateway, organization.id, command_id="c1")
    assert first == again
    held = await references(service, organization.id, first.id)
    assert await secret(ingest, organization.id, first.id, "secret", held["secret"]) == first.secret


async def test_a_rotation_leaves_both_readable_and_a_second_one_erases_the_first(
    service: CredentialsService, gateway: Bus, ingest: Bus, organization: OrganizationIssued
) -> None:
    made = await create(gateway, organization.id)
    before = (await references(service, organization.id, made.id))["secret"]
    rotate = RotateWebhookSecret(organization=organization.id, actor="k", id=made.id, grace_seconds=600)
    rotated = await call(gateway, ROTATE_WEBHOOK, rotate)
    assert rotated.secret != made.secret
    assert rotated.previous_secret_until is not None
    held = await references(service, organization.id, made.id)
    assert held["previous"] == before
    assert await secret(ingest, organization.id, made.id, "secret", held["secret"]) == rotated.secret
    assert await secret(ingest, organization.id, made.id, "previous", before) == made.secret
    await call(gateway, ROTATE_WEBHOOK, rotate.model_copy(update={"grace_seconds": 0}))
    with pytest.raises(Refused):
        await secret(ingest, organization.id, made.id, "previous", before)


async def test_one_is_changed_paused_resumed_and_deleted(
    service: CredentialsService, gateway: Bus, ingest: Bus, organization: OrganizationIssued
) -> None:
    made = await create(gateway, organization.id, headers={"X-Key": "hush"})
    who: dict[str, Any] = {"organization": organization.id, "actor": "k", "id": made.id}
    held = await references(service, organization.id, made.id)
    changed = await call(
        gateway, CHANGE_WEBHOOK, ChangeWebhook(**who, events=("message",), headers={}, ordered=True)
    )
    assert (changed.events, changed.headers, changed.ordered, changed.url) == (("message",), (), True, URL)
    with pytest.raises(Refused):
        await secret(ingest, organization.id, made.id, "headers", held["headers"])
    paused = await call(gateway, PAUSE_WEBHOOK, PauseWebhook(**who))
    assert paused.paused == "person"
    assert (await call(gateway, RESUME_WEBHOOK, ResumeWebhook(**who))).paused is None
    await call(gateway, DELETE_WEBHOOK, DeleteWebhook(**who))
    calls: list[tuple[Any, Any]] = [(GetWebhook(**who), GET_WEBHOOK), (PauseWebhook(**who), PAUSE_WEBHOOK)]
    for asked, what in calls:
        with pytest.raises(Refused) as error:
            await call(gateway, what, asked)
        assert error.value.code == "not_found"
    with pytest.raises(Refused):
        await secret(ingest, organization.id, made.id, "secret", held["secret"])


async def test_names_are_taken_once_and_there_are_no_more_than_the_limit(
    gateway: Bus, organization: OrganizationIssued
) -> None:
    await create(gateway, organization.id, name="Ops")
    with refused("name.taken"):
        await create(gateway, organization.id, name="ops")
    more = [create(gateway, organization.id, name=f"w{n}") for n in range(WEBHOOKS_MAX + 2)]
    done = await asyncio.gather(*more, return_exceptions=True)
    failures = [each for each in done if isinstance(each, Refused)]
    assert [each.code for each in failures] == ["limit.reached"] * 3
    listed = await call(gateway, LIST_WEBHOOKS, List(organization=organization.id, actor="k"))
    assert len(listed.items) == WEBHOOKS_MAX


async def test_no_other_organization_sees_or_touches_it(
    gateway: Bus, organization: OrganizationIssued
) -> None:
    made = await create(gateway, organization.id)
    stranger = (await new_organization(gateway, "Stranger")).id
    who: dict[str, Any] = {"organization": stranger, "actor": "k", "id": made.id}
    calls: list[tuple[Any, Any]] = [
        (GET_WEBHOOK, GetWebhook(**who)),
        (CHANGE_WEBHOOK, ChangeWebhook(**who, url="https://evil.example/")),
        (ROTATE_WEBHOOK, RotateWebhookSecret(**who)),
        (PAUSE_WEBHOOK, PauseWebhook(**who)),
        (DELETE_WEBHOOK, DeleteWebhook(**who)),
    ]
    for what, asked in calls:
        with refused("not_found"):
            await call(gateway, what, asked)
    assert not (await call(gateway, LIST_WEBHOOKS, List(organization=stranger, actor="k"))).items
    with refused("not_found"):
        await create(gateway, stranger, integration_id="int_0000000000000000")


async def integration(gateway: Bus, organization: str) -> str:
    made = CreateIntegration(
        organization=organization,
        actor="k",
        name="plant",
        settings=broker_settings(host="broker.example", port=1883),
        topics=(TopicFilter(filter="a/#"),),
    )
    return (await call(gateway, CREATE_INTEGRATION, made)).id


async def test_a_callback_comes_changes_and_goes_with_its_subscription(
    service: CredentialsService, gateway: Bus, ingest: Bus, organization: OrganizationIssued
) -> None:
    id = await integration(gateway, organization.id)
    who: dict[str, Any] = {"organization": organization.id, "actor": "k", "id": id}
    topic = TopicFilter(filter="b/+/x")

    async def callbacks() -> list[tuple[str | None, str, tuple[str, ...], str | None]]:
        listed = await call(gateway, LIST_WEBHOOKS, List(organization=organization.id, actor="k"))
        return [
            (each.subscription, each.url, each.topic_filters, each.integration_id) for each in listed.items
        ]

    added = await call(gateway, ADD_SUBSCRIPTION, AddSubscription(**who, topic=topic, callback_url=URL))
    assert added.webhook is not None
    assert await callbacks() == [("b/+/x", URL, ("b/+/x",), id)]
    held = await references(service, organization.id, added.webhook)
    assert await secret(ingest, organization.id, added.webhook, "secret", held["secret"]) == added.secret
    with refused("webhook.of_subscription"):
        own: dict[str, Any] = {"organization": organization.id, "actor": "k", "id": added.webhook}
        await call(gateway, DELETE_WEBHOOK, DeleteWebhook(**own))
    moved = AddSubscription(**who, topic=topic, callback_url=URL + "/2")
    again = await call(gateway, ADD_SUBSCRIPTION, moved)
    assert (again.webhook, again.secret) == (added.webhook, None)
    assert [url for _, url, *_ in await callbacks()] == [URL + "/2"]
    await call(gateway, REMOVE_SUBSCRIPTION, RemoveSubscription(**who, filter="b/+/x"))
    assert await callbacks() == []


async def test_callbacks_end_with_the_integration(gateway: Bus, organization: OrganizationIssued) -> None:
    id = await integration(gateway, organization.id)
    who: dict[str, Any] = {"organization": organization.id, "actor": "k", "id": id}
    for filter in ("b", "c"):
        topic = TopicFilter(filter=filter)
        await call(gateway, ADD_SUBSCRIPTION, AddSubscription(**who, topic=topic, callback_url=URL))
    await call(gateway, ADD_SUBSCRIPTION, AddSubscription(**who, topic=TopicFilter(filter="c")))
    listed = await call(gateway, LIST_WEBHOOKS, List(organization=organization.id, actor="k"))
    assert [each.subscription for each in listed.items] == ["b"]
    await call(gateway, DELETE_INTEGRATION, DeleteIntegration(**who))
    assert not (await call(gateway, LIST_WEBHOOKS, List(organization=organization.id, actor="k"))).items
