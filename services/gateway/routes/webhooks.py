"""Webhooks: addresses of one's own that are told what happens, as Standard Webhooks."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, patch, post
from litestar.params import JSONBody
from pydantic import AfterValidator, Field

from contracts.activity_kinds import KINDS
from contracts.calls import Page
from contracts.failures import Unavailable
from contracts.organizations import List, Name
from contracts.webhook_deliveries import (
    GET_WEBHOOK_STATE,
    GetWebhookState,
    WebhookState,
)
from contracts.webhook_fields import Devices, Events, GraceSeconds, Headers, TopicFilters, Url
from contracts.webhook_fields import Id as IntegrationId
from contracts.webhooks import (
    CHANGE_WEBHOOK,
    CREATE_WEBHOOK,
    DELETE_WEBHOOK,
    GET_WEBHOOK,
    LIST_WEBHOOKS,
    MESSAGE,
    PAUSE_WEBHOOK,
    RESUME_WEBHOOK,
    ROTATE_WEBHOOK,
    ChangeWebhook,
    CreateWebhook,
    DeleteWebhook,
    GetWebhook,
    PauseWebhook,
    ResumeWebhook,
    RotateWebhookSecret,
    WebhookSettings,
    WebhookView,
    WebhookWithSecret,
)
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Cursor, Id, Limit
from services.gateway.state import Backend
from services.gateway.webhook_urls import check_url


def _known(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Each means something that happens: who misspells a kind would wait for calls that never come."""
    for pattern in patterns:
        below = pattern.removesuffix("*")
        if pattern in ("*", MESSAGE) or pattern in KINDS:
            continue
        if below == pattern or not any(kind.startswith(below) for kind in KINDS):
            raise ValueError(f"there is no kind `{pattern}`; docs/guides/activity.md has all of them")
    return patterns


KnownEvents = Annotated[Events, AfterValidator(_known)]


class NewWebhook(Body):
    """`events`: kinds of activity (`link.down`), of alerts (`alert.*`), `message`; `*` is all but messages.

    `headers` are sent with each call; their values are secrets and are not shown again. `ordered`: for each device
    the next call waits for the one before it. `topic_filters` narrow messages, the others everything.
    """

    name: Name
    url: Url
    events: KnownEvents
    integration_id: IntegrationId | None = None
    topic_filters: TopicFilters = ()
    device_ids: Devices = ()
    ordered: bool = False
    headers: Headers = Field(default_factory=dict)


class WebhookChange(Body):
    """What is not sent stays; `integration_id: null` takes that condition away. `headers` replaces all of them."""

    name: Name | None = None
    url: Url | None = None
    events: KnownEvents | None = None
    integration_id: IntegrationId | None = None
    topic_filters: TopicFilters | None = None
    device_ids: Devices | None = None
    ordered: bool | None = None
    headers: Headers | None = None


class SecretRotation(Body):
    """For how long calls are signed with the old secret, too; 0 ends it at once."""

    grace_seconds: GraceSeconds = 24 * 3600


class Resumption(Body):
    """`skip_backlog`: what came while it was paused is not sent."""

    skip_backlog: bool = False


class WebhookDetail(WebhookView):
    """`delivery`: how it is doing; null while that cannot be asked."""

    delivery: WebhookState | None = Field(default=None)


@post(
    "/v1/webhooks",
    opt={"failures": ("address.forbidden", "webhook.insecure", "name.taken", "not_found", "limit.reached")},
)
async def create_webhook(
    data: JSONBody[NewWebhook], gateway: Backend, caller: Caller, command_id: CommandId
) -> WebhookWithSecret:
    """Create a webhook: an address that is called when something happens. The secret is shown this once.

    Calls carry `webhook-id`, `webhook-timestamp` and `webhook-signature` (Standard Webhooks); what fails is tried
    again over three days. At most 20; https, and an address on the public internet, unless the operator allows more.
    """
    settings = WebhookSettings(**data.model_dump(exclude={"headers"}))
    await check_url(gateway, caller, settings.url)
    command = CreateWebhook(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        settings=settings,
        headers=data.headers,
    )
    return await gateway.ask(CREATE_WEBHOOK, command)


@get("/v1/webhooks")
async def list_webhooks(
    gateway: Backend, caller: Caller, limit: Limit = 100, cursor: Cursor = None
) -> Page[WebhookView]:
    """List webhooks, oldest first, those of subscriptions among them."""
    query = List(organization=caller.organization, actor=caller.actor, limit=limit, cursor=cursor)
    return await gateway.ask(LIST_WEBHOOKS, query)


@get("/v1/webhooks/{id:str}")
async def get_webhook(id: Id, gateway: Backend, caller: Caller) -> WebhookDetail:
    """Get a webhook and how it is doing: healthy, failing since when, paused; how far it is behind."""
    organization, actor = caller.organization, caller.actor
    held = await gateway.ask(GET_WEBHOOK, GetWebhook(organization=organization, actor=actor, id=id))
    asked = GetWebhookState(organization=organization, actor=actor, webhook=id, paused=held.paused)
    try:
        state = await gateway.ask(GET_WEBHOOK_STATE, asked)
    except Unavailable:
        state = None  # what it is to be is known all the same
    return WebhookDetail(**held.model_dump(), delivery=state)


@patch(
    "/v1/webhooks/{id:str}",
    opt={"failures": ("address.forbidden", "webhook.insecure", "name.taken", "conflict")},
)
async def change_webhook(
    id: Id, data: JSONBody[WebhookChange], gateway: Backend, caller: Caller
) -> WebhookView:
    """Change a webhook; calls that wait go to the new address."""
    if data.url is not None:
        await check_url(gateway, caller, data.url)
    wished = data.model_dump(exclude={"headers"})
    if "integration_id" in data.model_fields_set and data.integration_id is None:
        wished["integration_id"] = ""
    command = ChangeWebhook(
        organization=caller.organization, actor=caller.actor, id=id, headers=data.headers, **wished
    )
    return await gateway.ask(CHANGE_WEBHOOK, command)


@delete("/v1/webhooks/{id:str}", opt={"failures": ("webhook.of_subscription",)})
async def delete_webhook(id: Id, gateway: Backend, caller: Caller) -> None:
    """Delete a webhook: nothing is sent any more, and its secrets are erased."""
    await gateway.ask(
        DELETE_WEBHOOK, DeleteWebhook(organization=caller.organization, actor=caller.actor, id=id)
    )


@post("/v1/webhooks/{id:str}/rotate")
async def rotate_webhook_secret(
    id: Id,
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
    data: JSONBody[SecretRotation | None] = None,
) -> WebhookWithSecret:
    """Give a webhook a new secret, shown this once. For the grace (a day) calls carry both signatures."""
    grace = (data or SecretRotation()).grace_seconds
    command = RotateWebhookSecret(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        grace_seconds=grace,
    )
    return await gateway.ask(ROTATE_WEBHOOK, command)


@post("/v1/webhooks/{id:str}/pause", status_code=200)
async def pause_webhook(id: Id, gateway: Backend, caller: Caller) -> WebhookView:
    """Pause a webhook: nothing is sent; what happens meanwhile is sent later, as far as the logs hold it."""
    command = PauseWebhook(organization=caller.organization, actor=caller.actor, id=id)
    return await gateway.ask(PAUSE_WEBHOOK, command)


@post("/v1/webhooks/{id:str}/resume", status_code=200)
async def resume_webhook(
    id: Id, gateway: Backend, caller: Caller, data: JSONBody[Resumption | None] = None
) -> WebhookView:
    """Resume a webhook that was paused, by a person, by days of failures or by the receiver's 410.

    It goes on where it stood, or with `skip_backlog` from now on."""
    skip = (data or Resumption()).skip_backlog
    command = ResumeWebhook(organization=caller.organization, actor=caller.actor, id=id, skip_backlog=skip)
    return await gateway.ask(RESUME_WEBHOOK, command)


ROUTES = [
    create_webhook,
    list_webhooks,
    get_webhook,
    change_webhook,
    delete_webhook,
    rotate_webhook_secret,
    pause_webhook,
    resume_webhook,
]
