"""What filters allow: as subjects for the server, and for one topic; both say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.acl import may_publish, publish_subjects, subscribe_subjects
from contracts.topics import to_subject


@pytest.mark.parametrize(
    ("filter", "subjects"),
    [
        ("org_a/devices/#", ("org_a.devices.*.>",)),
        ("org_a/devices/+/#", ("org_a.devices.*.>",)),
        ("org_a/devices/d1/#", ("org_a.devices.d1.>",)),
        ("org_a/devices/d.1/#", ("org_a.devices.d//1.>",)),
        ("org_a/devices/+/telemetry", ("org_a.devices.*.telemetry",)),
        ("org_a/devices/d1/a/#", ("org_a.devices.d1.a.>", "org_a.devices.d1.a")),
        ("org_a/devices/d1", ()),
        ("org_a/devices/+", ()),
        ("org_a/commands/#", ("org_a.commands.>", "org_a.commands")),
    ],
)
def test_a_publish_below_devices_needs_a_channel(filter: str, subjects: tuple[str, ...]) -> None:
    assert publish_subjects([filter]) == subjects


def test_subscribing_to_all_below_a_level_includes_the_level() -> None:
    assert subscribe_subjects(["org_a/commands/d1/#"]) == ("org_a.commands.d1.>", "org_a.commands.d1")


def test_subjects_that_two_filters_share_stand_once() -> None:
    assert publish_subjects(["org_a/devices/#", "org_a/devices/+/#"]) == ("org_a.devices.*.>",)


@pytest.mark.parametrize(
    ("topic", "allowed"),
    [
        ("org_a/devices/d1/telemetry", True),
        ("org_a/devices/d1/a/b/c", True),
        ("org_a/devices/d1", False),
        ("org_a/devices", False),
        ("org_a/devices/d2/telemetry", False),
        ("org_b/devices/d1/telemetry", False),
        ("org_a/commands/d1/go", False),
    ],
)
def test_a_device_may_publish_to_its_own_channels_alone(topic: str, allowed: bool) -> None:
    assert may_publish(["org_a/devices/d1/#"], topic) is allowed


level = st.sampled_from(["d1", "d.2", "telemetry", "", "x"])
topics = st.lists(level, min_size=0, max_size=4).map(lambda rest: "/".join(["org_a", "devices", *rest]))
wild = st.sampled_from(["d1", "d.2", "+", "telemetry"])
filters = st.builds(
    lambda rest, end: "/".join(["org_a", "devices", *rest, *end]),
    st.lists(wild, max_size=3),
    st.sampled_from([[], ["#"]]),
)


@given(filter=filters, topic=topics)
def test_the_subjects_allow_exactly_what_may_be_published(filter: str, topic: str) -> None:
    subject = to_subject(topic).split(".")
    allowed = any(_nats_matches(pattern.split("."), subject) for pattern in publish_subjects([filter]))
    assert allowed is may_publish([filter], topic)


def _nats_matches(pattern: list[str], subject: list[str]) -> bool:
    for index, token in enumerate(pattern):
        if token == ">":
            return len(subject) > index
        if index == len(subject) or token not in ("*", subject[index]):
            return False
    return len(pattern) == len(subject)
