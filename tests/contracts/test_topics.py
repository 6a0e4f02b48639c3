from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import topics
from contracts.failures import Refused

LEVELS = ["", "a", "b", "$x", "a.b"]
TOPICS = ["/".join(levels) for n in range(1, 5) for levels in product([*LEVELS, "new"], repeat=n)]
TOPICS = [topic for topic in TOPICS if topic]
FILTERS = ["/".join(levels) for n in range(1, 4) for levels in product([*LEVELS, "+", "#"], repeat=n)]
FILTERS = [filter for filter in FILTERS if filter and "#/" not in filter]


def model(filter: list[str], topic: list[str], first: bool = True) -> bool:
    """MQTT §4.7 by recursion, in another way than the code under test."""
    if first and topic[0].startswith("$") and filter[0] in ("+", "#"):
        return False
    if filter == ["#"] or filter == topic == []:
        return True
    if not filter or not topic:
        return False
    return filter[0] in ("+", topic[0]) and model(filter[1:], topic[1:], False)


@pytest.mark.parametrize(
    ("filter", "topic", "expected"),
    [
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/x", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/x", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        ("accounts", "Accounts", False),
    ],
)
def test_matching_follows_the_examples_of_the_specification(filter: str, topic: str, expected: bool) -> None:
    assert topics.matches(filter, topic) is expected


def test_matching_agrees_with_a_model_of_the_specification() -> None:
    for filter in FILTERS:
        for topic in TOPICS[:: 1 + len(TOPICS) // 400]:
            assert topics.matches(filter, topic) == model(filter.split("/"), topic.split("/")), (
                filter,
                topic,
            )


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(FILTERS), st.sampled_from(FILTERS))
def test_a_filter_covers_another_when_it_matches_all_that_the_other_matches(outer: str, inner: str) -> None:
    reached = [topic for topic in TOPICS if topics.matches(inner, topic)]
    assert topics.covers(outer, inner) == all(topics.matches(outer, topic) for topic in reached)


@pytest.mark.parametrize(
    ("topic", "says"),
    [
        ("", "empty"),
        ("a b", "space at position 1"),
        ("a/\0", "NUL"),
        ("a/\x7f", "control"),
        ("a/\x1f", "control"),
        ("a/+", "`+` at position 2"),
        ("a#", "`#` at position 1"),
        ("a/*", "`*` at position 2"),
        ("a/>", "`>` at position 2"),
        ("$SYS/x", "`$` at position 0"),
        ("a/\ud800", "surrogate"),
        ("a" * 1025, "1025 bytes"),
        ("ä" * 513, "1026 bytes"),
        ("/" * 32, "33 levels"),
        ("a" * 65_535, "65535 bytes"),
    ],
)
def test_a_topic_that_breaks_a_rule_is_refused_by_its_name(topic: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        topics.check_topic(topic, hosted=True)
    assert refused.value.code == "topic.invalid"
    assert says in refused.value.detail


@pytest.mark.parametrize("topic", ["a", "/", "a//b", "a.b/c", "ä/漢", "a" * 1024, "/" * 31, "a/$b", "a/🎈"])
def test_an_ordinary_topic_is_taken(topic: str) -> None:
    topics.check_topic(topic, hosted=True)
    topics.check_filter(topic, hosted=True)


@pytest.mark.parametrize("filter", ["#", "+", "a/#", "+/a/+", "/#", "+/+/#", "a/+/b"])
def test_wildcards_that_fill_their_level_are_taken(filter: str) -> None:
    topics.check_filter(filter, hosted=True)


@pytest.mark.parametrize("filter", ["a/#/b", "a#", "#a", "##", "a+", "+a/b", "++", "a/+b", "#/", ">", "a/*"])
def test_a_filter_that_breaks_a_rule_is_refused(filter: str) -> None:
    for hosted in (True, False):
        with pytest.raises(Refused) as refused:
            topics.check_filter(filter, hosted=hosted)
        assert refused.value.code == "filter.invalid"
        assert "position" in refused.value.detail


def test_an_external_broker_may_have_spaces_and_dollars_and_shares() -> None:
    topics.check_topic("$sys/version/1/plant one", hosted=False)
    topics.check_filter("$sys/version/+/devices/#", hosted=False)
    topics.check_filter("$share/workers/plant one/#", hosted=False)
    for filter in ("$share", "$share/g", "$share//a", "$share/+/a"):
        with pytest.raises(Refused):
            topics.check_filter(filter, hosted=False)
    for filter in ("$share/workers/a", "$sys/#"):
        with pytest.raises(Refused):
            topics.check_filter(filter, hosted=True)


@pytest.mark.parametrize("device", ["d1", "AA:BB:CC", "pump.7", "a@b", "_x", "9-1", "x" * 128])
def test_a_device_id_is_one_level_one_token_and_one_url_segment(device: str) -> None:
    topics.check_device_id(device)
    topics.check_topic(device)
    assert "." not in topics.to_subject(device)


@pytest.mark.parametrize(
    "device", ["", ".", "..", "-rf", "a/b", "a b", "a+", "#", "*", ">", "ä", "a\n", "x" * 129, "$a", "%2e"]
)
def test_a_device_id_of_other_letters_is_refused(device: str) -> None:
    with pytest.raises(Refused) as refused:
        topics.check_device_id(device)
    assert refused.value.code == "device.invalid"


@pytest.mark.parametrize(
    ("topic", "device", "channel"),
    [
        ("org_x/devices/d7/sensor/pressure", "d7", "sensor"),
        ("devices/s1/telemetry", "s1", "telemetry"),
        ("a/b/devices/s1", "s1", None),
        ("mydevices/s1/telemetry", None, None),
        ("devices", None, None),
        ("devices//telemetry", None, None),
        ("$sys/version/1/devices/24/product/x/mac/y/dev_protocol/1/properties/up", "24", "product"),
        ("devices/devices/devices", "devices", "devices"),
        ("plant/s1/telemetry", None, None),
    ],
)
def test_the_device_is_the_segment_after_devices(topic: str, device: str | None, channel: str | None) -> None:
    assert topics.device_of(topic) == device
    assert topics.channel_of(topic) == channel


@given(
    st.lists(st.text(st.sampled_from("ab.$/ä"), max_size=4), min_size=1, max_size=6)
    .map("/".join)
    .filter(bool)
)
def test_a_subject_leads_back_to_its_topic(topic: str) -> None:
    assert topics.from_subject(topics.to_subject(topic)) == topic


def test_a_topic_with_a_space_has_no_subject() -> None:
    with pytest.raises(Refused):
        topics.to_subject("a b")


def test_a_filter_reaches_the_parent_of_its_hash_too() -> None:
    assert topics.filter_to_subjects("a/#") == ("a.>", "a")
    assert topics.filter_to_subjects("a/+/b.c") == ("a.*.b//c",)
    assert topics.filter_to_subjects("#") == (">",)
    assert topics.filter_to_subjects("a//#") == ("a./.>", "a./")
