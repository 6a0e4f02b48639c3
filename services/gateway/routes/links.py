"""The links of integrations: how they are doing, paused, resumed, watched."""

from __future__ import annotations

from datetime import datetime

from litestar import get, post, put
from litestar.params import JSONBody

from contracts.failures import Unavailable
from contracts.integrations import GET_INTEGRATION, GetIntegration, IntegrationView
from contracts.links import (
    GET_STATUS,
    PAUSE_INTEGRATION,
    RESUME_INTEGRATION,
    WATCH_INTEGRATION,
    ExpectedInterval,
    GetLinkStatus,
    LinkStatus,
    PauseIntegration,
    ResumeIntegration,
    WatchIntegration,
)
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Id
from services.gateway.state import Backend


class FlowToWatch(Body):
    """Seconds within which a message is expected; null: it is learnt from how they come."""

    expected_interval_s: ExpectedInterval | None = None


@get("/v1/integrations/{id:str}/status", opt={"failures": ("integration.hosted",)})
async def link_status(id: Id, gateway: Backend, caller: Caller) -> LinkStatus:
    """Show how an integration's connection is doing, as the process that holds it says: its state with the reason
    and since when, rates, subscriptions, the last errors, the last hour by minutes."""
    asked = GetLinkStatus(organization=caller.organization, actor=caller.actor, integration=id)
    try:
        return await gateway.ask_link(GET_STATUS, asked)
    except Unavailable as failure:
        if failure.code != "link.down":
            raise
    held = await gateway.ask(
        GET_INTEGRATION, GetIntegration(organization=caller.organization, actor=caller.actor, id=id)
    )
    return unowned(id, held, datetime.now().astimezone())


def unowned(id: str, held: IntegrationView, now: datetime) -> LinkStatus:
    """For the seconds in which a link changes hands, and while no ingest is up."""
    return LinkStatus(
        integration_id=id,
        state="paused" if held.paused else "connecting",
        reason=None if held.paused else "link.down",
        detail="no process has this link at the moment",
        next_action=None
        if held.paused
        else "It is taken over within seconds. If this lasts, the platform's ingest is not running.",
        since=now,
        owner=None,
    )


@post(
    "/v1/integrations/{id:str}/pause", status_code=200, opt={"failures": ("integration.hosted", "conflict")}
)
async def pause_integration(
    id: Id, gateway: Backend, caller: Caller, command_id: CommandId
) -> IntegrationView:
    """Pause an integration: its connection ends. Its session at the broker stays, so what the broker keeps comes
    when it is resumed."""
    command = PauseIntegration(
        organization=caller.organization, actor=caller.actor, command_id=command_id, id=id
    )
    return await gateway.ask(PAUSE_INTEGRATION, command)


@post(
    "/v1/integrations/{id:str}/resume", status_code=200, opt={"failures": ("integration.hosted", "conflict")}
)
async def resume_integration(
    id: Id, gateway: Backend, caller: Caller, command_id: CommandId
) -> IntegrationView:
    """Resume a paused integration: it connects at once."""
    command = ResumeIntegration(
        organization=caller.organization, actor=caller.actor, command_id=command_id, id=id
    )
    return await gateway.ask(RESUME_INTEGRATION, command)


@put("/v1/integrations/{id:str}/watchdog", opt={"failures": ("integration.hosted", "conflict")})
async def watch_integration(
    id: Id, data: JSONBody[FlowToWatch], gateway: Backend, caller: Caller, command_id: CommandId
) -> IntegrationView:
    """Say how often messages are expected. A link without any for twice that long is `degraded` with the reason
    `link.silent`, and says so in activity."""
    command = WatchIntegration(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        expected_interval_s=data.expected_interval_s,
    )
    return await gateway.ask(WATCH_INTEGRATION, command)


ROUTES = [link_status, pause_integration, resume_integration, watch_integration]
