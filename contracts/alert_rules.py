"""Alert rules: what is to be told when something is wrong, of which devices, and how soon.

Times of a condition are seconds. `for_s` is how long it must hold before an alert opens; 0: at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from contracts.calls import Call, Model, Nothing, Page, Request
from contracts.decoders.limits import DEVICE_CHARS_MAX
from contracts.devices import TAG_CHARS_MAX, normal_tag
from contracts.envelope import Event
from contracts.failures import Refused
from contracts.metrics import MetricName, Words
from contracts.organizations import List, Name

RULES_MAX = 500  # of an organization
DEVICES_MAX = 100  # that a rule names
OPENINGS_MAX = (
    1000  # of an organization's alerts within a minute: more wait for the next, where it is still so
)
LINKS = "links"  # the id of the rule that every organization has from its beginning

Severity = Literal["info", "warning", "critical"]
Operator = Literal[">", ">=", "<", "<="]
LinkTrouble = Literal["down", "refused", "degraded"]
_MONTH = 30 * 86_400
Duration = Annotated[int, Field(ge=0, le=_MONTH)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Window = Annotated[int, Field(ge=10, le=86_400)]
Cooldown = Annotated[int, Field(ge=0, le=7 * 86_400)]
Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
DeviceId = Annotated[str, Field(min_length=1, max_length=DEVICE_CHARS_MAX, pattern=r"^[^\x00-\x1f\x7f]+$")]


# conditions
class Threshold(Model):
    """A value beyond a limit. It is over once a value is back by `hysteresis` behind the limit.

    Booleans count as 0 and 1; texts are not compared.
    """

    kind: Literal["threshold"]
    metric: MetricName
    operator: Operator
    value: Finite
    hysteresis: NotNegative = 0
    for_s: Duration = 0


class RateOfChange(Model):
    """A change of at least `change` per `per_s` seconds, from one value to the next.

    What changes within a second counts as in one second: two values a millisecond apart are no storm.
    """

    kind: Literal["rate_of_change"]
    metric: MetricName
    change: Positive
    per_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    direction: Literal["rising", "falling", "either"] = "either"
    for_s: Duration = 0


class NoData(Model):
    """Nothing came from a device, or nothing of a metric, for so long.

    Of devices that are named: since the rule holds. Of all others: once they were heard.
    """

    kind: Literal["no_data"]
    for_s: Annotated[int, Field(ge=10, le=_MONTH)]
    metric: MetricName | None = None


class Offline(Model):
    """A device went, by its own word, its last will, or the hosted broker's word of its connections."""

    kind: Literal["offline"]
    for_s: Duration = 0


def _each_once(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


class LinkDown(Model):
    """An integration's connection is down, refused by the broker, or degraded. Without ids: any of them."""

    kind: Literal["link"]
    states: Annotated[
        tuple[LinkTrouble, ...], Field(min_length=1, max_length=10), AfterValidator(_each_once)
    ] = ("down", "refused")
    for_s: Duration = 30
    integration_ids: Annotated[tuple[Id, ...], Field(max_length=100), AfterValidator(_each_once)] = ()


class RefusedConnects(Model):
    """So many connects were refused within the window."""

    kind: Literal["refused_connects"]
    count: Count
    window_s: Window
    credential_id: Id | None = None


class DeadLetterRate(Model):
    """So many messages became dead letters within the window."""

    kind: Literal["dead_letters"]
    count: Count
    window_s: Window
    integration_id: Id | None = None


Condition = Annotated[
    Threshold | RateOfChange | NoData | Offline | LinkDown | RefusedConnects | DeadLetterRate,
    Field(discriminator="kind"),
]
ConditionKind = Literal[
    "threshold", "rate_of_change", "no_data", "offline", "link", "refused_connects", "dead_letters"
]
OF_DEVICES: frozenset[str] = frozenset(("threshold", "rate_of_change", "no_data", "offline"))
"""Kinds that have an alert for each device; others are not about devices, and have the scope `all`."""


# scopes
class AllDevices(Model):
    kind: Literal["all"] = "all"


class TheseDevices(Model):
    kind: Literal["devices"]
    device_ids: Annotated[
        tuple[DeviceId, ...], Field(min_length=1, max_length=DEVICES_MAX), AfterValidator(_each_once)
    ]


class TaggedDevices(Model):
    """Those that have the tag now: a device comes and goes with it."""

    kind: Literal["tag"]
    tag: Annotated[str, Field(max_length=4 * TAG_CHARS_MAX), AfterValidator(normal_tag)]


Scope = Annotated[AllDevices | TheseDevices | TaggedDevices, Field(discriminator="kind")]


def check_scope(condition: Condition, scope: Scope) -> None:
    """Refused("request.invalid") for a kind that is not about devices, and a scope of some."""
    if condition.kind not in OF_DEVICES and scope.kind != "all":
        detail = f"a rule of {condition.kind} is not about devices: its scope is all"
        raise Refused("request.invalid", detail, field="scope")


class AlertRule(Model):
    """`cooldown_s`: after an alert is over, the same device has no other one for so long."""

    name: Name
    description: Words | None = None
    severity: Severity = "warning"
    condition: Condition
    scope: Scope = AllDevices()
    cooldown_s: Cooldown = 0
    enabled: bool = True


BUILT_IN = AlertRule(
    name="Integrations that do not connect",
    description="Every organization has this rule; it can be switched off.",
    condition=LinkDown(kind="link"),
)
"""The rule `links`, until an organization changes it."""


# events: the whole of the rule, in the place of what it was before
class AlertRuleCreated(Event):
    type = "alert-rule.created"
    rule: AlertRule


class AlertRuleChanged(Event):
    """Of the built-in rule also the first event."""

    type = "alert-rule.changed"
    rule: AlertRule


class AlertRuleDeleted(Event):
    type = "alert-rule.deleted"


# commands and queries
class CreateAlertRule(Request):
    """Refused("limit.reached") above RULES_MAX, ("name.taken")."""

    rule: AlertRule


class ChangeAlertRule(Request):
    """What is None stays. Refused("alert_rule.built_in") for another kind of condition of the built-in rule."""

    id: str
    name: Name | None = None
    description: Words | None = None
    severity: Severity | None = None
    condition: Condition | None = None
    scope: Scope | None = None
    cooldown_s: Cooldown | None = None
    enabled: bool | None = None


class DeleteAlertRule(Request):
    """Refused("alert_rule.built_in") for the built-in one, which is switched off instead."""

    id: str


class GetAlertRule(Request):
    id: str


class AlertRuleView(AlertRule):
    id: str
    built_in: bool = False
    created_at: datetime


CREATE_ALERT_RULE = Call("command.credentials.create-alert-rule", CreateAlertRule, AlertRuleView)
CHANGE_ALERT_RULE = Call("command.credentials.change-alert-rule", ChangeAlertRule, AlertRuleView)
DELETE_ALERT_RULE = Call("command.credentials.delete-alert-rule", DeleteAlertRule, Nothing)
LIST_ALERT_RULES = Call("query.credentials.alert-rules", List, Page[AlertRuleView])
GET_ALERT_RULE = Call("query.credentials.alert-rule", GetAlertRule, AlertRuleView)
