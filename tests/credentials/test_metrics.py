"""Metrics that people describe: said, taken back, bounded, each organization's own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.failures import Refused
from contracts.metrics import (
    CLEAR_METRIC,
    DESCRIBE_METRIC,
    DESCRIBED_MAX,
    ClearMetric,
    DescribeMetric,
    MetricCleared,
    MetricDescribed,
    MetricDescription,
    metric_id,
)
from contracts.organizations import OrganizationIssued
from contracts.streams import REGISTRY
from contracts.subjects import registry
from runtime.bus import Bus
from runtime.rpc import call
from services.credentials.metric_handlers import decide_metric
from services.credentials.states.said import Metric
from tests.credentials.parts import CredentialsService, entries, new_organization, refused

SAID = MetricDescribed(name="t", unit="°C")


def describe(organization: str = "o", **fields: Any) -> DescribeMetric:
    return DescribeMetric(**{"organization": organization, "actor": "key:k", "name": "t", **fields})


def clear(organization: str = "o", name: str = "t") -> ClearMetric:
    return ClearMetric(organization=organization, actor="key:k", name=name)


def test_what_is_said_is_the_whole_of_it_and_saying_it_again_is_nothing() -> None:
    assert decide_metric(describe(unit="°C"), Metric(), 0) == [SAID]
    assert decide_metric(describe(unit="°C"), Metric(SAID), 1) == []
    assert decide_metric(describe(label="Flow"), Metric(SAID), 1) == [MetricDescribed(name="t", label="Flow")]


def test_it_is_taken_back_once() -> None:
    assert decide_metric(clear(), Metric(SAID), 1) == [MetricCleared(name="t")]
    assert decide_metric(clear(), Metric(), 0) == []


def test_one_more_than_the_limit_is_refused_and_a_change_is_not() -> None:
    with pytest.raises(Refused) as error:
        decide_metric(describe(), Metric(), DESCRIBED_MAX)
    assert error.value.code == "limit.reached"
    assert decide_metric(describe(unit="K"), Metric(SAID), DESCRIBED_MAX)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "x" * 257},
        {"name": "a\nb"},
        {"unit": ""},
        {"unit": "x" * 33},
        {"label": "x" * 101},
        {"description": "x" * 1001},
        {"description": "a\0b"},
        {"kind": "colour"},
    ],
    ids=str,
)
def test_what_is_too_long_or_no_text_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        describe(**wrong)


async def test_two_organizations_describe_the_same_name_and_neither_learns_of_the_other(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    other = await new_organization(gateway, "Other")
    name = "Inputs/*.> temperature"  # nothing of it becomes part of a subject
    with refused("not_found"):
        await call(gateway, CLEAR_METRIC, clear(organization.id, name))
    said = await call(gateway, DESCRIBE_METRIC, describe(organization.id, name=name, unit="°C"))
    assert said == MetricDescription(name=name, unit="°C")
    with refused("not_found"):
        await call(gateway, CLEAR_METRIC, clear(other.id, name))
    await call(gateway, DESCRIBE_METRIC, describe(other.id, name=name, unit="K"))
    await call(gateway, CLEAR_METRIC, clear(other.id, name))
    await call(gateway, CLEAR_METRIC, clear(other.id, name))
    for id, count in ((organization.id, 1), (other.id, 2)):
        subject = registry(id, "metric", metric_id(id, name))
        assert len(await entries(service.nats, "credentials", REGISTRY.name, subject)) == count
    with refused("not_found"):
        await call(gateway, DESCRIBE_METRIC, describe("org_0000000000000000"))


async def test_many_at_once_of_one_metric_leave_one(gateway: Bus, organization: OrganizationIssued) -> None:
    asked = (call(gateway, DESCRIBE_METRIC, describe(organization.id, unit=f"u{n}")) for n in range(10))
    assert {said.unit for said in await asyncio.gather(*asked)} == {f"u{n}" for n in range(10)}
    await call(gateway, CLEAR_METRIC, clear(organization.id))
