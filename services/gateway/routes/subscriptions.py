"""Subscriptions of an integration: listed as its link has them, added and removed on the running link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from litestar import delete, get, post
from litestar.params import JSONBody, QueryParameter

from contracts.broker_topics import TopicFilter
from contracts.failures import Refused, Unavailable
from contracts.integrations import GET_INTEGRATION, GetIntegration, IntegrationView
from contracts.links import GET_STATUS, GetLinkStatus, LinkStatus
from contracts.organizations import List, Principal
from contracts.subscriptions import (
    ADD_SUBSCRIPTION,
    REMOVE_SUBSCRIPTION,
    AddSubscription,
    RemoveSubscription,
    Subscriptions,
    SubscriptionState,
    SubscriptionView,
)
from contracts.topics import TOPIC_BYTES_MAX
from contracts.webhook_fields import Url
from contracts.webhooks import LIST_WEBHOOKS, WebhookView
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Id
from services.gateway.problems import FieldError, Invalid
from services.gateway.state import Backend, Gateway
from services.gateway.webhook_urls import check_url

Filter = Annotated[
    str | None,
    QueryParameter(
        name="filter", max_length=TOPIC_BYTES_MAX, description="As it was added; percent-encoded. Required"
    ),
]


class SubscriptionToAdd(Body, TopicFilter):
    """`qos`: as which the broker is asked to send. `callback_url`: where its messages are sent, as a webhook."""

    callback_url: Url | None = None


class AddedSubscription(SubscriptionView):
    """`secret`: what its callback is signed with, shown when that is new."""

    secret: str | None = None


@get("/v1/integrations/{id:str}/subscriptions", opt={"failures": ("integration.hosted",)})
async def list_subscriptions(id: Id, gateway: Backend, caller: Caller) -> Subscriptions:
    """List an integration's subscriptions: the QoS that was asked for and the one that was granted, how many
    messages matched and when the last one did."""
    held = await gateway.ask(
        GET_INTEGRATION, GetIntegration(organization=caller.organization, actor=caller.actor, id=id)
    )
    if held.settings is None:
        raise Refused("integration.hosted", "the hosted broker's messages all come: nothing is chosen")
    asked = GetLinkStatus(organization=caller.organization, actor=caller.actor, integration=id)
    status: LinkStatus | None = None
    try:
        status = await gateway.ask_link(GET_STATUS, asked)
    except Unavailable as failure:
        if failure.code != "link.down":
            raise
    return Subscriptions(items=tuple(shown(held, status, await _callbacks(gateway, caller, id))))


async def _callbacks(gateway: Gateway, caller: Principal, id: str) -> dict[str, WebhookView]:
    """By filter."""
    found: dict[str, WebhookView] = {}
    cursor = None
    while True:
        asked = List(organization=caller.organization, actor=caller.actor, limit=1000, cursor=cursor)
        page = await gateway.ask(LIST_WEBHOOKS, asked)
        found |= {
            each.subscription: each for each in page.items if each.subscription and each.integration_id == id
        }
        cursor = page.next_cursor
        if cursor is None:
            return found


@post(
    "/v1/integrations/{id:str}/subscriptions",
    opt={
        "failures": (
            "integration.hosted",
            "filter.invalid",
            "address.forbidden",
            "webhook.insecure",
            "limit.reached",
            "conflict",
        )
    },
)
async def add_subscription(
    id: Id, data: JSONBody[SubscriptionToAdd], gateway: Backend, caller: Caller, command_id: CommandId
) -> AddedSubscription:
    """Add a subscription; the running link has it within a second, without connecting anew.

    One with the same filter is there once, with the new QoS and callback. At most 100. With `callback_url` its
    messages are sent there as a webhook (Standard Webhooks), whose secret is shown this once.
    """
    if data.callback_url is not None:
        await check_url(gateway, caller, data.callback_url)
    command = AddSubscription(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        topic=TopicFilter(filter=data.filter, qos=data.qos),
        callback_url=data.callback_url,
    )
    added = await gateway.ask(ADD_SUBSCRIPTION, command)
    return AddedSubscription(
        filter=data.filter,
        qos=data.qos,
        state="pending",
        callback_url=data.callback_url,
        webhook_id=added.webhook,
        secret=added.secret,
    )


@delete(
    "/v1/integrations/{id:str}/subscriptions",
    opt={"failures": ("integration.hosted", "request.invalid", "conflict")},
)
async def remove_subscription(id: Id, gateway: Backend, caller: Caller, filter_: Filter = None) -> None:
    """Remove a subscription by its filter. The last one cannot be removed: pause the integration instead."""
    if not filter_:
        raise Invalid([FieldError(field="filter", detail="say which: `?filter=…`, percent-encoded")])
    command = RemoveSubscription(organization=caller.organization, actor=caller.actor, id=id, filter=filter_)
    await gateway.ask(REMOVE_SUBSCRIPTION, command)


def shown(
    held: IntegrationView, status: LinkStatus | None, callbacks: Mapping[str, WebhookView]
) -> list[SubscriptionView]:
    """What is wanted, with what the link says of it, and its callback."""
    return [_with_callback(each, callbacks.get(each.filter)) for each in _as_linked(held, status)]


def _with_callback(view: SubscriptionView, callback: WebhookView | None) -> SubscriptionView:
    if callback is None:
        return view
    return view.model_copy(update={"callback_url": callback.url, "webhook_id": callback.id})


def _as_linked(held: IntegrationView, status: LinkStatus | None) -> list[SubscriptionView]:
    running = {each.filter: each for each in status.subscriptions} if status is not None else {}
    found = []
    for topic in held.topics:
        link = running.get(topic.filter)
        if link is None:
            found.append(SubscriptionView(filter=topic.filter, qos=topic.qos, state="pending"))
            continue
        state: SubscriptionState = "pending"
        if link.refused is not None:
            state = "refused"
        elif link.granted_qos is not None:
            state = "granted"
        found.append(
            SubscriptionView(
                filter=topic.filter,
                qos=topic.qos,
                state=state,
                granted_qos=link.granted_qos,
                reason=link.refused,
                since=link.since,
                messages=link.messages,
                last_message_at=link.last_message_at,
            )
        )
    return found


ROUTES = [list_subscriptions, add_subscription, remove_subscription]
