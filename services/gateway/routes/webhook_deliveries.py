"""A webhook's calls: tried, listed, tried again."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get, post
from litestar.params import QueryParameter

from contracts.calls import Page
from contracts.failures import Refused
from contracts.webhook_deliveries import (
    LIST_DELIVERIES,
    RETRY_DELIVERIES,
    TEST_WEBHOOK,
    DeliveriesRetried,
    ListDeliveries,
    RetryDeliveries,
    TestWebhook,
    WebhookDelivery,
    WebhookTested,
)
from contracts.webhooks import GET_WEBHOOK, GetWebhook, WebhookView
from services.gateway.parameters import Caller, Cursor, Id, Limit
from services.gateway.state import Backend, Gateway

State = Annotated[
    Literal["pending", "waiting", "delivered", "dead"] | None,
    QueryParameter(
        name="state",
        description="pending: under way; waiting: failed, and tried again; delivered; dead: given up",
        schema_extra={"enum": ["pending", "waiting", "delivered", "dead"]},
    ),
]


@post("/v1/webhooks/{id:str}/test", status_code=200, opt={"failures": ("limit.reached",)})
async def test_webhook(id: Id, gateway: Backend, caller: Caller) -> WebhookTested:
    """Call a webhook now with an event of type `webhook.test`: what was sent, and what came back.

    The answer's first KiB is shown, or the step that failed: dns, address, tcp, tls, http."""
    await _require(gateway, caller.organization, caller.actor, id)
    asked = TestWebhook(organization=caller.organization, actor=caller.actor, webhook=id)
    return await gateway.ask(TEST_WEBHOOK, asked)


@get("/v1/webhooks/{id:str}/deliveries", opt={"failures": ("cursor.invalid",)})
async def list_webhook_deliveries(
    id: Id,
    gateway: Backend,
    caller: Caller,
    state_: State = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[WebhookDelivery]:
    """List a webhook's calls, the newest first: those that wait with their next attempt, those given up, and the
    last hundred or more that succeeded."""
    await _require(gateway, caller.organization, caller.actor, id)
    query = ListDeliveries(
        organization=caller.organization,
        actor=caller.actor,
        webhook=id,
        state=state_,
        limit=limit,
        cursor=cursor,
    )
    return await gateway.ask(LIST_DELIVERIES, query)


@post("/v1/webhooks/{id:str}/deliveries/{delivery:str}/retry", opt={"failures": ("webhook.paused",)})
async def retry_webhook_delivery(id: Id, delivery: Id, gateway: Backend, caller: Caller) -> DeliveriesRetried:
    """Try a call again now that waits or was given up."""
    return await _retry(gateway, caller.organization, caller.actor, id, delivery)


@post("/v1/webhooks/{id:str}/deliveries/retry", opt={"failures": ("webhook.paused",)})
async def retry_webhook_deliveries(id: Id, gateway: Backend, caller: Caller) -> DeliveriesRetried:
    """Try all calls again that were given up."""
    return await _retry(gateway, caller.organization, caller.actor, id, None)


async def _retry(
    gateway: Gateway, organization: str, actor: str, id: str, delivery: str | None
) -> DeliveriesRetried:
    held = await _require(gateway, organization, actor, id)
    if held.paused is not None:
        raise Refused("webhook.paused", "resume it first")
    asked = RetryDeliveries(organization=organization, actor=actor, integration=id, delivery=delivery)
    return await gateway.ask(RETRY_DELIVERIES.at(organization, id), asked)


async def _require(gateway: Gateway, organization: str, actor: str, id: str) -> WebhookView:
    """Raises Refused("not_found"), also for another organization's."""
    return await gateway.ask(GET_WEBHOOK, GetWebhook(organization=organization, actor=actor, id=id))


ROUTES = [test_webhook, list_webhook_deliveries, retry_webhook_delivery, retry_webhook_deliveries]
