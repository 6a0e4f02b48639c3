"""Alert rules: what is to be told when something is wrong."""

from __future__ import annotations

from litestar import delete, get, patch, post
from litestar.params import JSONBody
from pydantic import AwareDatetime, Field

from contracts.alert_previews import PREVIEW_ALERT_RULE, AlertPreview, PreviewAlertRule
from contracts.alert_rules import (
    CHANGE_ALERT_RULE,
    CREATE_ALERT_RULE,
    DELETE_ALERT_RULE,
    GET_ALERT_RULE,
    LIST_ALERT_RULES,
    AlertRule,
    AlertRuleView,
    AllDevices,
    ChangeAlertRule,
    Condition,
    Cooldown,
    CreateAlertRule,
    DeleteAlertRule,
    GetAlertRule,
    Scope,
    Severity,
)
from contracts.calls import Page
from contracts.metrics import Words
from contracts.organizations import List, Name
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Cursor, Id, Limit
from services.gateway.state import Backend


class NewAlertRule(Body, AlertRule):
    """Of kinds that are about devices (threshold, rate_of_change, no_data, offline), each device of the scope has an
    alert of its own; the others have the scope `all`, and an alert for each integration or for the organization."""


class AlertRuleChange(Body):
    """What is not sent stays; `condition` and `scope` are replaced as a whole.

    With another condition or scope, open alerts of the rule are resolved (`rule_changed`), and it begins anew.
    """

    name: Name | None = None
    description: Words | None = None
    severity: Severity | None = None
    condition: Condition | None = None
    scope: Scope | None = None
    cooldown_s: Cooldown | None = None
    enabled: bool | None = None


class RuleToPreview(Body):
    """The parts of a rule that decide. Without `to` until now, without `from` a day before that; at most 31 days."""

    condition: Condition
    scope: Scope = AllDevices()
    cooldown_s: Cooldown = 0
    from_: AwareDatetime | None = Field(default=None, alias="from")
    to: AwareDatetime | None = None


@post("/v1/alert-rules", opt={"failures": ("name.taken", "limit.reached", "organization.deleted")})
async def create_alert_rule(
    data: JSONBody[NewAlertRule], gateway: Backend, caller: Caller, command_id: CommandId
) -> AlertRuleView:
    """Create an alert rule; it holds for what comes from a second later on. At most 500."""
    command = CreateAlertRule(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        rule=AlertRule(**dict(data)),
    )
    return await gateway.ask(CREATE_ALERT_RULE, command)


@post("/v1/alert-rules/preview", status_code=200, opt={"failures": ("limit.reached",)})
async def preview_alert_rule(data: JSONBody[RuleToPreview], gateway: Backend, caller: Caller) -> AlertPreview:
    """See which alerts a rule would have opened and resolved, had it been made at `from`; nothing is told.

    It is judged as a rule that holds, over what is stored: readings in the order of their own times, silence by when
    messages came, links and refused connects by the activity. At most 20,000 of them: where there were more, the
    newest, `start` is later than asked, and `complete` false. `items` are the newest 200 of all that `opened`. A tag
    means the devices that have it now. Presence is not kept by time: `offline` is refused. One at a time."""
    query = PreviewAlertRule(
        organization=caller.organization,
        condition=data.condition,
        scope=data.scope,
        cooldown_s=data.cooldown_s,
        start=data.from_,
        end=data.to,
    )
    return await gateway.ask(PREVIEW_ALERT_RULE, query)


@get("/v1/alert-rules")
async def list_alert_rules(
    gateway: Backend, caller: Caller, limit: Limit = 100, cursor: Cursor = None
) -> Page[AlertRuleView]:
    """List alert rules, oldest first. The first is `links`, which every organization has from its beginning."""
    query = List(organization=caller.organization, actor=caller.actor, limit=limit, cursor=cursor)
    return await gateway.ask(LIST_ALERT_RULES, query)


@get("/v1/alert-rules/{id:str}")
async def get_alert_rule(id: Id, gateway: Backend, caller: Caller) -> AlertRuleView:
    """Get an alert rule."""
    query = GetAlertRule(organization=caller.organization, actor=caller.actor, id=id)
    return await gateway.ask(GET_ALERT_RULE, query)


@patch(
    "/v1/alert-rules/{id:str}",
    opt={"failures": ("name.taken", "conflict", "alert_rule.built_in", "organization.deleted")},
)
async def change_alert_rule(
    id: Id, data: JSONBody[AlertRuleChange], gateway: Backend, caller: Caller
) -> AlertRuleView:
    """Change an alert rule, or switch it off with `{"enabled": false}`: its open alerts are then resolved."""
    command = ChangeAlertRule(organization=caller.organization, actor=caller.actor, id=id, **dict(data))
    return await gateway.ask(CHANGE_ALERT_RULE, command)


@delete("/v1/alert-rules/{id:str}", opt={"failures": ("alert_rule.built_in", "organization.deleted")})
async def delete_alert_rule(id: Id, gateway: Backend, caller: Caller) -> None:
    """Delete an alert rule; its open alerts are resolved (`rule_deleted`). The built-in one is switched off instead."""
    command = DeleteAlertRule(organization=caller.organization, actor=caller.actor, id=id)
    await gateway.ask(DELETE_ALERT_RULE, command)


ROUTES = [
    create_alert_rule,
    preview_alert_rule,
    list_alert_rules,
    get_alert_rule,
    change_alert_rule,
    delete_alert_rule,
]
