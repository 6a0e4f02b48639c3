"""Devices that people describe and forget: kept as a whole, bounded, each organization's own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.devices import (
    DESCRIBE_DEVICE,
    DESCRIBED_MAX,
    FORGET_DEVICE,
    METADATA_BYTES_MAX,
    DescribeDevice,
    DeviceDescribed,
    DeviceSettings,
    ForgetDevice,
    device_token,
    normal_tags,
)
from contracts.failures import Refused
from contracts.organizations import OrganizationIssued
from contracts.streams import REGISTRY
from contracts.subjects import registry
from runtime.bus import Bus
from runtime.rpc import call
from services.credentials.device_handlers import decide_description
from tests.credentials.parts import CredentialsService, entries, new_organization, refused

SAID = DeviceDescribed(device_id="d", name="Boiler", tags=("heating",), metadata={"serial": 7})


def describe(organization: str = "o", device: str = "d", **fields: Any) -> DescribeDevice:
    return DescribeDevice(organization=organization, actor="key:k", device_id=device, **fields)


def forget(organization: str = "o", device: str = "d") -> ForgetDevice:
    return ForgetDevice(organization=organization, actor="key:k", device_id=device)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"name": "Pump"}, {"name": "Pump"}),
        ({"name": ""}, {"name": None}),
        ({"tags": ("b", " A ", "a")}, {"tags": ("a", "b")}),
        ({"tags": ()}, {"tags": ()}),
        ({"metadata": {}}, {"metadata": {}}),
        ({"hidden": True}, {"hidden": True}),
        ({}, {}),
        ({"name": "Boiler", "tags": ("Heating",)}, {}),
    ],
    ids=str,
)
def test_what_is_left_out_stays_as_it_is(change: dict[str, Any], expected: dict[str, Any]) -> None:
    said, events = decide_description(describe(**change), SAID, 1)
    assert said == SAID.model_copy(update=expected)
    assert events == ([said] if expected else []), "what changes nothing is no event"


def test_saying_nothing_of_an_unknown_device_is_no_event() -> None:
    said, events = decide_description(describe(tags=()), None, 0)
    assert (said, events) == (DeviceDescribed(device_id="d"), [])


def test_one_more_than_the_limit_is_refused_and_a_change_is_not() -> None:
    with pytest.raises(Refused) as error:
        decide_description(describe(name="x"), None, DESCRIBED_MAX)
    assert error.value.code == "limit.reached"
    assert decide_description(describe(name="x"), SAID, DESCRIBED_MAX)[1]


def test_tags_are_one_however_they_are_written() -> None:
    assert normal_tags(["  Floor   3", "floor 3", "STRASSE", "stra\N{LATIN SMALL LETTER SHARP S}e"]) == (
        "floor 3",
        "strasse",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"device": ""},
        {"device": "x" * 129},
        {"device": "a\nb"},
        {"name": "x" * 129},
        {"name": "a\x7fb"},
        {"tags": [""]},
        {"tags": [" "]},
        {"tags": ["x" * 65]},
        {"tags": ["a,b"]},
        {"tags": ["a\u200eb"]},
        {"tags": [f"t{number}" for number in range(33)]},
        {"metadata": {"a": "x" * METADATA_BYTES_MAX}},
        {"metadata": {"a": "\0"}},
        {"metadata": {"\0": 1}},
        {"metadata": {"a": float("nan")}},
        {"metadata": {"a": "\ud800"}},
        {"metadata": {"a": [[[[[[[[[1]]]]]]]]]}},
        {"metadata": [1]},
        {"hidden": "perhaps"},
    ],
    ids=lambda wrong: str(wrong)[:40].encode("ascii", "replace").decode(),
)
def test_what_is_too_long_or_no_text_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        describe(**wrong)


async def test_two_organizations_describe_the_same_device_and_neither_learns_of_the_other(
    service: CredentialsService, gateway: Bus, organization: OrganizationIssued
) -> None:
    other = await new_organization(gateway, "Other")
    device = "Node 1/*.> d"  # nothing of it becomes part of a subject
    said = await call(gateway, DESCRIBE_DEVICE, describe(organization.id, device, tags=("B", "a")))
    assert said == DeviceSettings(id=device, tags=("a", "b"))
    said = await call(gateway, DESCRIBE_DEVICE, describe(organization.id, device, name="Node", hidden=True))
    assert said == DeviceSettings(id=device, name="Node", tags=("a", "b"), hidden=True)
    said = await call(gateway, DESCRIBE_DEVICE, describe(other.id, device, metadata={"a": [1, None]}))
    assert said == DeviceSettings(id=device, metadata={"a": [1, None]})
    await call(gateway, FORGET_DEVICE, forget(other.id, device))
    said = await call(gateway, DESCRIBE_DEVICE, describe(other.id, device, name="New"))
    assert said == DeviceSettings(id=device, name="New"), "of what is forgotten nothing comes back"
    for id, count in ((organization.id, 2), (other.id, 3)):
        subject = registry(id, "device", device_token(id, device))
        assert len(await entries(service.nats, "credentials", REGISTRY.name, subject)) == count
    with refused("not_found"):
        await call(gateway, DESCRIBE_DEVICE, describe("org_0000000000000000"))
    with refused("not_found"):
        await call(gateway, FORGET_DEVICE, forget("org_0000000000000000"))


async def test_of_many_changes_at_once_none_is_lost(gateway: Bus, organization: OrganizationIssued) -> None:
    changes = ({"name": "Boiler"}, {"tags": ("a",)}, {"metadata": {"n": 1}}, {"hidden": True})
    asked = (call(gateway, DESCRIBE_DEVICE, describe(organization.id, **change)) for change in changes)
    await asyncio.gather(*asked)
    said = await call(gateway, DESCRIBE_DEVICE, describe(organization.id))
    assert said == DeviceSettings(id="d", name="Boiler", tags=("a",), metadata={"n": 1}, hidden=True)
