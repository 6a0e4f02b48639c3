"""A rule of alerts."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.alert_rules import BUILT_IN, AlertRule, AlertRuleChanged, AlertRuleCreated, AlertRuleDeleted
from contracts.envelope import Event
from services.credentials.states.base import Status


@dataclass(frozen=True, slots=True)
class AlertRuleState:
    status: Status = "absent"
    rule: AlertRule | None = None  # None: there is none, or not any more

    def evolve(self, event: Event) -> AlertRuleState:
        match event:
            case AlertRuleCreated(rule=rule) | AlertRuleChanged(rule=rule):
                return AlertRuleState("active", rule)
            case AlertRuleDeleted():
                return AlertRuleState("ended")
            case _:
                return self


BUILT_IN_RULE = AlertRuleState("active", BUILT_IN)  # until it is changed, there is no event of it
