"""Alert rules as the registry keeps them: made, changed, deleted, bounded, each organization's own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from contracts.alert_rules import (
    BUILT_IN,
    CHANGE_ALERT_RULE,
    CREATE_ALERT_RULE,
    DELETE_ALERT_RULE,
    GET_ALERT_RULE,
    LINKS,
    LIST_ALERT_RULES,
    RULES_MAX,
    AlertRule,
    AlertRuleChanged,
    AlertRuleCreated,
    AlertRuleDeleted,
    ChangeAlertRule,
    CreateAlertRule,
    DeleteAlertRule,
    GetAlertRule,
    LinkDown,
    NoData,
    TaggedDevices,
    Threshold,
)
from contracts.failures import Refused
from contracts.organizations import List, OrganizationIssued
from runtime.bus import Bus
from runtime.rpc import call
from services.credentials.alert_rule_handlers import decide_alert_rule
from services.credentials.states.alert_rule import BUILT_IN_RULE, AlertRuleState
from tests.credentials.parts import new_organization, refused

HOT = AlertRule(name="hot", condition=Threshold(kind="threshold", metric="t", operator=">", value=80))
HELD = AlertRuleState("active", HOT)


def create(rule: AlertRule = HOT, organization: str = "o", **fields: Any) -> CreateAlertRule:
    return CreateAlertRule(organization=organization, actor="key:k", rule=rule, **fields)


def change(id: str = "rule_1", organization: str = "o", **fields: Any) -> ChangeAlertRule:
    return ChangeAlertRule(organization=organization, actor="key:k", id=id, **fields)


def delete(id: str = "rule_1", organization: str = "o") -> DeleteAlertRule:
    return DeleteAlertRule(organization=organization, actor="key:k", id=id)


def test_what_is_not_sent_stays_and_the_same_again_is_nothing() -> None:
    events = decide_alert_rule(change(severity="critical"), HELD)
    assert events == [AlertRuleChanged(rule=HOT.model_copy(update={"severity": "critical"}))]
    assert decide_alert_rule(change(name="hot", enabled=True), HELD) == []
    assert decide_alert_rule(create(), AlertRuleState(), 3) == [AlertRuleCreated(rule=HOT)]


def test_one_more_than_the_limit_is_refused() -> None:
    with pytest.raises(Refused) as error:
        decide_alert_rule(create(), AlertRuleState(), RULES_MAX)
    assert error.value.code == "limit.reached"


def test_what_is_not_about_devices_has_no_scope_of_devices() -> None:
    tag = TaggedDevices(kind="tag", tag="north")
    with pytest.raises(Refused) as error:
        decide_alert_rule(create(BUILT_IN.model_copy(update={"scope": tag})), AlertRuleState())
    assert (error.value.code, error.value.field) == ("request.invalid", "scope")
    scoped = HELD.rule and HELD.rule.model_copy(update={"scope": tag})
    with pytest.raises(Refused):
        decide_alert_rule(change(condition=LinkDown(kind="link")), AlertRuleState("active", scoped))


def test_the_built_in_rule_is_switched_off_and_stays_one_of_links() -> None:
    (off,) = decide_alert_rule(change(LINKS, enabled=False), BUILT_IN_RULE)
    assert not BUILT_IN_RULE.evolve(off).rule.enabled  # type: ignore[union-attr]
    for command in (delete(LINKS), change(LINKS, condition=NoData(kind="no_data", for_s=60))):
        with pytest.raises(Refused) as error:
            decide_alert_rule(command, BUILT_IN_RULE)
        assert error.value.code == "alert_rule.built_in"


def test_a_deleted_rule_is_deleted_again_and_not_changed() -> None:
    (gone,) = decide_alert_rule(delete(), HELD)
    assert isinstance(gone, AlertRuleDeleted)
    ended = HELD.evolve(gone)
    assert decide_alert_rule(delete(), ended) == []
    with pytest.raises(Refused) as error:
        decide_alert_rule(change(name="x"), ended)
    assert error.value.code == "not_found"


async def test_rules_are_listed_behind_the_built_in_one_and_names_are_taken_once(
    gateway: Bus, organization: OrganizationIssued
) -> None:
    of = organization.id
    made = await call(gateway, CREATE_ALERT_RULE, create(organization=of, command_id="once"))
    again = await call(gateway, CREATE_ALERT_RULE, create(organization=of, command_id="once"))
    assert again.id == made.id
    with refused("name.taken"):
        await call(gateway, CREATE_ALERT_RULE, create(HOT.model_copy(update={"name": "HOT"}), of))
    with refused("name.taken"):
        await call(gateway, CHANGE_ALERT_RULE, change(LINKS, of, name="hot"))
    listed = await call(gateway, LIST_ALERT_RULES, List(organization=of, actor="key:k"))
    assert [(rule.id, rule.built_in) for rule in listed.items] == [(LINKS, True), (made.id, False)]
    first = await call(gateway, LIST_ALERT_RULES, List(organization=of, actor="key:k", limit=1))
    rest = List(organization=of, actor="key:k", cursor=first.next_cursor)
    assert [rule.id for rule in (await call(gateway, LIST_ALERT_RULES, rest)).items] == [made.id]
    await call(gateway, DELETE_ALERT_RULE, delete(made.id, of))
    with refused("not_found"):
        await call(gateway, GET_ALERT_RULE, GetAlertRule(organization=of, actor="key:k", id=made.id))


async def test_another_organizations_rule_is_not_there_and_its_built_in_one_is_its_own(
    gateway: Bus, organization: OrganizationIssued
) -> None:
    other = (await new_organization(gateway, "Other")).id
    made = await call(
        gateway, CREATE_ALERT_RULE, create(HOT.model_copy(update={"name": "o"}), organization.id)
    )
    await call(gateway, CHANGE_ALERT_RULE, change(LINKS, organization.id, enabled=False))
    with refused("not_found"):
        await call(gateway, CHANGE_ALERT_RULE, change(made.id, other, enabled=False))
    with refused("not_found"):
        await call(gateway, DELETE_ALERT_RULE, delete(made.id, other))
    theirs = GetAlertRule(organization=other, actor="key:k", id=LINKS)
    assert (await call(gateway, GET_ALERT_RULE, theirs)).enabled


async def test_of_two_changes_at_once_both_win(gateway: Bus, organization: OrganizationIssued) -> None:
    of = organization.id
    made = await call(gateway, CREATE_ALERT_RULE, create(HOT.model_copy(update={"name": "two"}), of))
    await asyncio.gather(
        call(gateway, CHANGE_ALERT_RULE, change(made.id, of, severity="critical")),
        call(gateway, CHANGE_ALERT_RULE, change(made.id, of, cooldown_s=60)),
    )
    held = await call(gateway, GET_ALERT_RULE, GetAlertRule(organization=of, actor="key:k", id=made.id))
    assert (held.severity, held.cooldown_s) == ("critical", 60)
