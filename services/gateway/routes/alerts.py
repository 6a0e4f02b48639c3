"""Alerts: what is wrong, what was, and who knows of it."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from contracts.alerts import (
    ACKNOWLEDGE_ALERT,
    GET_ALERT,
    LIST_ALERTS,
    RESOLVE_ALERT,
    AcknowledgeAlert,
    Alert,
    AlertRow,
    GetAlert,
    ListAlerts,
    ResolveAlert,
)
from contracts.calls import Page
from contracts.metrics import Words
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Cursor, From, Id, Limit, Text, moment
from services.gateway.state import Backend

StateOf = Annotated[
    Literal["open", "acknowledged", "unresolved", "resolved", "all"],
    QueryParameter(name="state", description="`unresolved`: open or acknowledged"),
]
SeverityOf = Annotated[Literal["info", "warning", "critical", "all"], QueryParameter(name="severity")]


class AlertNote(Body):
    """What is to be remembered with it, if anything."""

    note: Words | None = None


@get("/v1/alerts")
async def list_alerts(
    gateway: Backend,
    caller: Caller,
    state_of: StateOf = "all",
    rule_id: Text = None,
    device_id: Text = None,
    severity: SeverityOf = "all",
    from_: From = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Page[AlertRow]:
    """List alerts, the newest opening first. `from` is of the opening."""
    query = ListAlerts(
        organization=caller.organization,
        state=None if state_of == "all" else state_of,
        rule_id=rule_id,
        device_id=device_id,
        severity=None if severity == "all" else severity,
        from_=moment("from", from_),
        limit=limit,
        cursor=cursor,
    )
    return await gateway.ask(LIST_ALERTS, query)


@get("/v1/alerts/{id:str}")
async def get_alert(id: Id, gateway: Backend, caller: Caller) -> Alert:
    """Get an alert with its history, and the evidence of its opening and of its end."""
    return await gateway.ask(GET_ALERT, GetAlert(organization=caller.organization, id=id))


@post("/v1/alerts/{id:str}/acknowledge", status_code=200, opt={"failures": ("alert.resolved", "conflict")})
async def acknowledge_alert(
    id: Id, gateway: Backend, caller: Caller, command_id: CommandId, data: JSONBody[AlertNote | None] = None
) -> Alert:
    """Acknowledge an alert: somebody knows of it. Again is harmless: the first one counts."""
    command = AcknowledgeAlert(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        note=None if data is None else data.note,
    )
    return await gateway.ask(ACKNOWLEDGE_ALERT, command)


@post("/v1/alerts/{id:str}/resolve", status_code=200, opt={"failures": ("conflict",)})
async def resolve_alert(
    id: Id, gateway: Backend, caller: Caller, command_id: CommandId, data: JSONBody[AlertNote | None] = None
) -> Alert:
    """Resolve an alert by hand. Another one opens only after what is wrong was well in between."""
    command = ResolveAlert(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        id=id,
        note=None if data is None else data.note,
    )
    return await gateway.ask(RESOLVE_ALERT, command)


ROUTES = [list_alerts, get_alert, acknowledge_alert, resolve_alert]
