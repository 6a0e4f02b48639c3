"""What an expression gives is read, or refused with words about why it is no result."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.decoders.custom import Custom
from contracts.decoders.custom_expression import decoded, is_asked
from contracts.decoders.custom_settings import CustomSettings
from contracts.decoders.model import FUTURE, UNPARSABLE, Decoded, Message, Sample
from contracts.failures import Unprocessable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EXPRESSION = {"language": "jsonata", "source": "payload"}


def settings(**more: Any) -> CustomSettings:
    return CustomSettings.model_validate({"expression": EXPRESSION, **more})


def message(topic: str = "plant/7/up", hosted: str | None = None) -> Message:
    return Message(topic, b"{}", NOW, hosted, "plant")


def sample(value: Any, **more: Any) -> Sample:
    [one] = decoded(value, message(), settings(**more)).samples
    return one


def refused(value: Any) -> Unprocessable:
    with pytest.raises(Unprocessable) as caught:
        decoded(value, message(), settings())
    return caught.value


def test_a_result_has_device_time_and_readings() -> None:
    found = sample({"device_id": "S9", "time": "2026-03-01T10:00:00Z", "readings": {"t": 1, "env": {"h": 2}}})
    assert (found.device_id, found.time, found.flags) == ("S9", datetime(2026, 3, 1, 10, tzinfo=UTC), 0)
    assert [tuple(one) for one in found.readings] == [("t", 1, None), ("env.h", 2, None)]


def test_readings_in_an_array_carry_their_units() -> None:
    found = sample({"readings": [{"name": "t", "value": 1, "unit": "°C"}, {"name": "s", "value": "on"}]})
    assert [tuple(one) for one in found.readings] == [("t", 1, "°C"), ("s", "on", None)]


def test_an_array_is_many_messages() -> None:
    found = decoded([{"device_id": n, "readings": {"t": n}} for n in (1, 2)], message(), settings())
    assert [one.device_id for one in found.samples] == ["1", "2"]


@pytest.mark.parametrize("value", [None, []])
def test_nothing_means_that_the_message_says_nothing(value: Any) -> None:
    assert decoded(value, message(), settings()) == Decoded()


def test_without_a_device_the_topic_names_it_and_on_the_hosted_broker_it_always_does() -> None:
    assert sample({"readings": {}}).device_id == "7"
    [hosted] = decoded(
        {"device_id": "x", "readings": {}}, message("o/devices/d1/data", "d1"), settings()
    ).samples
    assert hosted.device_id == "d1"


def test_times_are_read_and_flagged_as_in_all_decoders() -> None:
    assert sample({"readings": {}}).time == NOW
    assert sample({"readings": {}, "time": "soon"}).flags == UNPARSABLE
    assert sample({"readings": {}, "time": "2027-01-01T00:00:00Z"}).flags == FUTURE


def test_renames_units_and_scale_are_honoured_after_the_expression() -> None:
    found = sample({"readings": {"t": 215}}, renames={"t": "temp"}, units={"temp": "°C"}, scale={"temp": 0.1})
    assert [tuple(one) for one in found.readings] == [("temp", 21.5, "°C")]


@pytest.mark.parametrize(
    "value",
    [
        5,
        "x",
        {},
        {"t": 1},
        {"readings": {}, "device": "x"},
        {"readings": 5},
        {"readings": [5]},
        {"readings": [{"name": "t"}]},
        {"readings": [{"name": "t", "value": 1, "at": 2}]},
        {"readings": [{"name": 1, "value": 1}]},
        {"readings": [{"name": "t", "value": 1, "unit": "x" * 33}]},
        {"readings": {}, "device_id": 1.5},
        {"readings": {}, "device_id": ""},
        {"readings": {}, "device_id": True},
        [{"readings": {}}, 5],
    ],
)
def test_what_is_no_result_is_refused(value: Any) -> None:
    failure = refused(value)
    assert (failure.code, failure.field) == ("decoder.result", "decoder.settings.expression")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"readings": {"t": float("inf")}}, "value.not_finite"),
        ({"readings": {"t": float("nan")}}, "value.not_finite"),
        ({"readings": {"t": "\0"}}, "value.invalid"),
        ({"readings": {"a.b": 1, "a": {"b": 2}}}, "metric.ambiguous"),
        ({"readings": {str(n): n for n in range(5000)}}, "payload.too_many"),
        ([{"readings": {}}] * 1001, "payload.too_many"),
        ([{"readings": {str(n): n for n in range(4000)}}] * 2, "payload.too_many"),
        ({"readings": {}, "device_id": "x" * 129}, "device.invalid"),
    ],
)
def test_the_limits_of_all_decoders_hold(value: Any, code: str) -> None:
    assert refused(value).code == code


def test_answers_and_presence_are_not_for_the_expression() -> None:
    assert is_asked(message(), settings())
    assert not is_asked(message("devices/d/up_reply"), settings())
    assert not is_asked(message("devices/d/status"), settings())
    assert is_asked(message("devices/d/status"), settings(presence=False))
    said = Custom().decode(message("devices/d/lwt"), settings()).presence
    assert said is not None
    assert not said.online


def test_a_message_that_nobody_evaluated_is_a_dead_letter() -> None:
    with pytest.raises(Unprocessable) as caught:
        Custom().decode(message(), settings())
    assert caught.value.code == "decoder.unavailable"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
results = (
    st.dictionaries(st.sampled_from(["device_id", "time", "readings", "x"]), values)
    | values
    | st.lists(values)
)


@given(results)
def test_no_result_raises_anything_else(value: Any) -> None:
    try:
        found = decoded(value, message(), settings())
    except Unprocessable:
        return
    for one in found.samples:
        for reading in one.readings:
            assert reading.value == reading.value  # no NaN
