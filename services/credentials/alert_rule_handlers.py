"""Alert rules: kept here, carried out by telemetry, which follows the registry."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime

from contracts import subjects
from contracts.alert_rules import (
    BUILT_IN,
    CHANGE_ALERT_RULE,
    CREATE_ALERT_RULE,
    DELETE_ALERT_RULE,
    LINKS,
    RULES_MAX,
    AlertRule,
    AlertRuleChanged,
    AlertRuleCreated,
    AlertRuleDeleted,
    AlertRuleView,
    ChangeAlertRule,
    CreateAlertRule,
    DeleteAlertRule,
    check_scope,
)
from contracts.calls import Nothing
from contracts.envelope import Event
from contracts.failures import Refused
from runtime.event_log import Append
from services.credentials import views
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry
from services.credentials.ids import new_id
from services.credentials.states.alert_rule import AlertRuleState


def decide_alert_rule(
    command: CreateAlertRule | ChangeAlertRule | DeleteAlertRule, held: AlertRuleState, rules: int = 0
) -> list[Event]:
    """Pure. `rules` is how many the organization has made."""
    match command:
        case CreateAlertRule() if rules >= RULES_MAX:
            raise Refused("limit.reached", f"an organization has at most {RULES_MAX} alert rules")
        case CreateAlertRule(rule=rule):
            check_scope(rule.condition, rule.scope)
            return [AlertRuleCreated(rule=rule)]
        case ChangeAlertRule() | DeleteAlertRule() if held.rule is None:
            if held.status == "ended" and isinstance(command, DeleteAlertRule):
                return []
            raise Refused("not_found")
        case DeleteAlertRule(id=id) if id == LINKS:
            raise Refused("alert_rule.built_in", 'it cannot be deleted; switch it off: {"enabled": false}')
        case DeleteAlertRule():
            return [AlertRuleDeleted()]
        case ChangeAlertRule(id=id):
            assert held.rule is not None
            sent = {name: getattr(command, name) for name in AlertRule.model_fields}
            given = {name: value for name, value in sent.items() if value is not None}
            rule = held.rule.model_copy(update=given)
            check_scope(rule.condition, rule.scope)
            if id == LINKS and rule.condition.kind != "link":
                raise Refused("alert_rule.built_in", "its condition stays one of links", field="condition")
            return [] if rule == held.rule else [AlertRuleChanged(rule=rule)]


class AlertRuleHandlers:
    def __init__(self, commands: Commands, registry: Registry) -> None:
        self._commands, self._registry = commands, registry
        self._table = registry.directory.alert_rules
        # One at a time for each organization: so many at once do not pass the limit together.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def create(self, request: CreateAlertRule) -> AlertRuleView:
        async def decide(now: datetime) -> Draft[AlertRuleView]:
            organization = request.organization
            await self._registry.require_organization(organization)
            await self._registry.directory.catch_up()  # another replica may have made one
            self._check_name(organization, request.rule.name)
            held = self._table.by_organization.get(organization, [])
            number = sum(entry.state.rule is not None for entry in held)
            events, id = decide_alert_rule(request, AlertRuleState(), number), new_id("rule")
            answer = views.alert_rule_view(id, now, AlertRuleState().evolve(events[0]))
            subject = subjects.registry(organization, "alert-rule", id)
            return Draft(tuple(Append(subject, event, 0) for event in events), answer)

        async with self._turns[request.organization]:
            return await self._commands.run(CREATE_ALERT_RULE, request, decide)

    async def change(self, request: ChangeAlertRule) -> AlertRuleView:
        async def decide(_: datetime) -> Draft[AlertRuleView]:
            subject, state, last, created_at = await self._load(request.organization, request.id)
            if request.name is not None:
                await self._registry.directory.catch_up()
                self._check_name(request.organization, request.name, but=request.id)
            events = decide_alert_rule(request, state)
            for event in events:
                state = state.evolve(event)
            answer = views.alert_rule_view(request.id, created_at, state)
            return Draft(tuple(Append(subject, event, last) for event in events), answer)

        async with self._turns[request.organization]:
            return await self._commands.run(CHANGE_ALERT_RULE, request, decide)

    async def delete(self, request: DeleteAlertRule) -> Nothing:
        async def decide(_: datetime) -> Draft[Nothing]:
            subject, state, last, _created = await self._load(request.organization, request.id)
            events = decide_alert_rule(request, state)
            return Draft(tuple(Append(subject, event, last) for event in events), Nothing())

        async with self._turns[request.organization]:
            return await self._commands.run(DELETE_ALERT_RULE, request, decide)

    async def _load(self, organization: str, id: str) -> tuple[str, AlertRuleState, int, datetime]:
        if id == LINKS:
            return await self._registry.built_in_rule(organization)
        return await self._registry.load(self._table, "alert-rule", organization, id)

    def _check_name(self, organization: str, name: str, but: str | None = None) -> None:
        built_in = self._registry.directory.built_in_rules.get(organization, organization)
        held = {LINKS: built_in.state.rule if built_in is not None else BUILT_IN}
        held |= {entry.id: entry.state.rule for entry in self._table.by_organization.get(organization, [])}
        for id, rule in held.items():
            if id != but and rule is not None and rule.name.casefold() == name.casefold():
                raise Refused("name.taken", f"an alert rule is named {rule.name!r}", field="name")
