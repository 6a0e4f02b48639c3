"""Subscriptions of an integration: listed as its link has them, added and removed on the running link."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post
from litestar.params import JSONBody, QueryParameter

from contracts.broker_topics import TopicFilter
from contracts.failures import Refused, Unavailable
from contracts.integrations import GET_INTEGRATION, GetIntegration, IntegrationView
from contracts.links import GET_STATUS, GetLinkStatus, LinkStatus
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
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Id
from services.gateway.problems import FieldError, Invalid
from services.gateway.state import Backend

Filter = Annotated[
    str | None,
    QueryParameter(
        name="filter", max_length=TOPIC_BYTES_MAX, description="As it was added; percent-encoded. Required"
    ),
]


class SubscriptionToAdd(Body, TopicFilter):
    """`qos`: as which the broker is asked to send."""


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
    return Subscriptions(items=tuple(shown(held, status)))


@post(
    "/v1/integrations/{id:str}/subscriptions",
    opt={"failures": ("integration.hosted", "filter.invalid", "limit.reached", "conflict")},
)
async def add_subscription(
    id: Id, data: JSONBody[SubscriptionToAdd], gateway: Backend, caller: Caller, command_id: CommandId
) -> SubscriptionView:
    """Add a subscription; the running link has it within a second, without connecting anew.

    One with the same filter is there once, with the new QoS. At most 100.
    """
    command = AddSubscription(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        topic=TopicFilter(filter=data.filter, qos=data.qos),
    )
    await gateway.ask(ADD_SUBSCRIPTION, command)
    return SubscriptionView(filter=data.filter, qos=data.qos, state="pending")


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


def shown(held: IntegrationView, status: LinkStatus | None) -> list[SubscriptionView]:
    """What is wanted, with what the link says of it."""
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
