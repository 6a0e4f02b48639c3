"""`custom`: every setting is honoured, and a message that the paths do not fit names the path."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.decoders.custom import Custom
from contracts.decoders.custom_settings import CustomSettings
from contracts.decoders.custom_times import reader
from contracts.decoders.model import AMBIGUOUS, FUTURE, OLD, UNPARSABLE, Decoded, Message, Sample
from contracts.failures import Unprocessable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
META = {"meta": {"sn": "S9", "at": 1745647522}, "body": {"values": {"t": 1}}}
META_PATHS = {"device_id_path": "meta.sn", "telemetry_path": "body.values", "timestamp_path": "meta.at"}


def decoded(payload: Any, topic: str = "plant/7/up", hosted: str | None = None, **settings: Any) -> Decoded:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    message = Message(topic, data, NOW, hosted, "plant")
    return Custom().decode(message, CustomSettings.model_validate(settings))


def sample(payload: Any, **settings: Any) -> Sample:
    [one] = decoded(payload, **settings).samples
    return one


def values(payload: Any, **settings: Any) -> dict[str, Any]:
    return {reading.metric: reading.value for reading in sample(payload, **settings).readings}


def refused(payload: Any, **settings: Any) -> Unprocessable:
    with pytest.raises(Unprocessable) as caught:
        decoded(payload, **settings)
    return caught.value


def test_paths_say_where_device_time_and_readings_stand() -> None:
    found = sample(META, **META_PATHS, timestamp_format="unix")
    assert (found.device_id, found.time) == ("S9", datetime(2025, 4, 26, 6, 5, 22, tzinfo=UTC))
    assert [(one.metric, one.value) for one in found.readings] == [("t", 1)]


def test_a_number_in_a_path_is_an_index_of_an_array_and_a_key_of_an_object() -> None:
    assert values({"r": [{"t": 5}]}, telemetry_path="r.0") == {"t": 5}
    assert values({"r": {"0": {"t": 5}}}, telemetry_path="r.0") == {"t": 5}


def test_a_dot_in_a_key_is_written_with_a_backslash() -> None:
    assert values({"a.b": {"c": 1}}, telemetry_path=r"a\.b") == {"c": 1}


@pytest.mark.parametrize(
    ("path", "name"), [("body.temp", "temp"), ("r.1", "r.1"), ("q.0.1", "q.0.1"), ("s", "s"), ("on", "on")]
)
def test_a_path_that_lands_on_a_scalar_is_one_reading(path: str, name: str) -> None:
    payload = {"body": {"temp": 7}, "r": [1, 7], "q": [[1, 7]], "s": "x", "on": True}
    assert list(values(payload, telemetry_path=path)) == [name]


def test_what_lies_below_the_path_is_flattened_with_dots() -> None:
    assert values({"b": {"env": {"t": 1}, "v": [3, 4]}}, telemetry_path="b") == {
        "env.t": 1,
        "v.0": 3,
        "v.1": 4,
    }


@pytest.mark.parametrize(
    ("payload", "path", "says"),
    [
        ({"body": {}}, "body.values", "`body` is an object, without `values`"),
        ({"body": [1]}, "body.3", "`body` is an array of 1, without `3`"),
        ({"body": "x"}, "body.0", "`body` is a text, without `0`"),
        ({"body": None}, "body.a", "`body` is null, without `a`"),
        ({"a": {"b": 5}}, "a.b.c", "`a.b` is a number, without `c`"),
        ([1, 2], "body", "the message is an array of 2, without `body`"),
    ],
)
@pytest.mark.parametrize("setting", ["telemetry_path", "device_id_path", "timestamp_path"])
def test_a_message_that_a_path_does_not_fit_names_it_and_how_far_it_led(
    setting: str, payload: Any, path: str, says: str
) -> None:
    failure = refused(payload, **{setting: path})
    assert (failure.code, failure.field) == ("path.unmatched", f"decoder.settings.{setting}")
    assert failure.detail == f"`{setting}` is `{path}`: {says}"


@pytest.mark.parametrize("value", [None, True, 1.5, "", {}, []])
def test_a_device_id_is_a_text_or_a_whole_number(value: Any) -> None:
    assert refused({"sn": value, "t": 1}, device_id_path="sn").code == "path.unmatched"
    assert sample({"sn": 12, "t": 1}, device_id_path="sn").device_id == "12"


def test_the_path_outranks_the_topic_and_the_hosted_brokers_topic_outranks_the_path() -> None:
    payload = {"sn": "S9", "t": 1}
    assert sample(payload, device_id_path="sn", topic="devices/d1/data").device_id == "S9"
    [hosted] = decoded(payload, "org_x/devices/d1/data", "d1", device_id_path="sn").samples
    assert hosted.device_id == "d1"


def test_without_a_path_the_usual_rules_name_the_device_and_the_time() -> None:
    found = sample({"deviceId": "k", "ts": 1772362800, "b": {"t": 1}}, telemetry_path="b")
    assert (found.device_id, found.time) == ("k", datetime(2026, 3, 1, 11, tzinfo=UTC))
    assert sample({"t": 1}).device_id == "7"  # <prefix>/<id>


def test_what_names_device_and_time_is_no_reading() -> None:
    payload = {"b": {"sn": "S9", "at": [1772362800], "t": 1}}
    paths = {"device_id_path": "b.sn", "telemetry_path": "b", "timestamp_path": "b.at.0"}
    assert values(payload, **paths) == {"t": 1}
    assert values({"sn": "x", "type": "a", "topic": "b", "t": 1}, device_id_path="sn") == {"t": 1}


def test_renames_units_scale_and_offset_are_honoured() -> None:
    found = sample(
        {"t": 615, "env": {"h": 403}, "p": 3},
        renames={"t": "temperature", "env.h": "humidity"},
        units={"temperature": "°C", "env.h": "%", "p": "bar"},
        scale={"temperature": 0.1, "humidity": 0.1, "p": 0.1},
        offset={"temperature": -40},
    )
    assert [tuple(one) for one in found.readings] == [
        ("temperature", 21.5, "°C"),
        ("humidity", 40.3, "%"),
        ("p", 0.3, "bar"),
    ]


def test_two_names_of_one_metric_share_its_unit_and_scale() -> None:
    settings: dict[str, Any] = {
        "renames": {"t": "temp", "T1": "temp"},
        "units": {"temp": "K"},
        "scale": {"temp": 2.0},
    }
    for name in ("t", "T1", "temp"):
        assert [tuple(one) for one in sample({name: 4}, **settings).readings] == [("temp", 8, "K")]


def test_names_can_be_swapped() -> None:
    assert values({"a": 1, "b": 2}, renames={"a": "b", "b": "a"}, scale={"a": 10}) == {"b": 1, "a": 20}


def test_a_scale_reads_numbers_in_quotes_and_leaves_other_texts() -> None:
    scale = {"a": 0.1, "b": 2, "c": 2}
    assert values({"a": "215", "b": "LOST", "c": True}, scale=scale) == {"a": 21.5, "b": "LOST", "c": True}
    assert values({"a": "215"}) == {"a": "215"}
    assert values({"a": "215"}, numeric_strings=True) == {"a": 215}


def test_whole_numbers_stay_whole_where_scale_and_offset_are() -> None:
    found = values({"a": 2**53 + 1, "b": 1}, scale={"a": 2}, offset={"b": 1})
    assert found == {"a": 2**54 + 2, "b": 2}
    assert [type(value) for value in found.values()] == [int, int]


def test_a_scaled_number_beyond_a_doubles_range_is_refused() -> None:
    assert refused({"a": 1e300}, scale={"a": 1e300}).code == "value.not_finite"


def test_two_values_under_one_name_are_refused() -> None:
    assert refused({"a": 1, "b": 2}, renames={"a": "b"}).code == "metric.ambiguous"


@pytest.mark.parametrize(
    ("format", "value"),
    [
        ("iso8601", "2026-03-01T10:00:00Z"),
        ("iso8601", "2026-03-01 11:00:00+01:00"),
        ("iso8601", "2026-03-01T10:00:00"),
        ("unix", 1772359200),
        ("unix", "1772359200"),
        ("unix", 1772359200.0),
        ("unix_ms", 1772359200000),
        ("vmark", "2026-03-01_10:00:00.000"),
        ("%d.%m.%Y %H:%M", "01.03.2026 10:00"),
        ("%d/%b/%Y:%H:%M:%S %z", "01/Mar/2026:05:00:00 -0500"),
        ("%b %d %y, %I %p", "mar 1 26, 10 AM"),
        ("%A %d %B %Y %H:%M:%S.%f %Z", "Sunday 1 March 2026 10:00:00.000 UTC"),
        ("%Y%m%d%H%M%S", 20260301100000),
        ("%Y-%j %H:%M:%S", "2026-060 09:59:60"),
        ("auto", 1772359200000000),
    ],
)
def test_the_time_is_read_in_the_format_that_is_set(format: str, value: Any) -> None:
    found = sample({"at": value, "t": 1}, timestamp_path="at", timestamp_format=format)
    assert (found.time, found.flags) == (datetime(2026, 3, 1, 10, tzinfo=UTC), 0)


@pytest.mark.parametrize(
    ("format", "value"),
    [
        ("iso8601", 1772359200),
        ("iso8601", "20260301"),
        ("unix", "2026-03-01T10:00:00Z"),
        ("unix", True),
        ("unix", 10**30),
        ("unix_ms", [1]),
        ("vmark", "2026-03-01T10:00:00.000"),
        ("%d.%m.%Y", "31.02.2026"),
        ("%Y-%j", "2026-366"),
        ("%d.%m.%Y", "1" * 10_000),
        ("%d.%m.%Y", 10**30),
    ],
)
def test_a_time_in_another_form_is_replaced_and_flagged(format: str, value: Any) -> None:
    found = sample({"at": value, "t": 1}, timestamp_path="at", timestamp_format=format)
    assert (found.time, found.flags) == (NOW, UNPARSABLE)


def test_a_time_over_a_day_ahead_is_replaced_and_flagged() -> None:
    ahead = (NOW + timedelta(days=2)).timestamp()
    for format, value in (("unix", ahead), ("unix_ms", ahead * 1000), ("%Y-%m-%d", "2027-01-01")):
        found = sample({"at": value}, timestamp_path="at", timestamp_format=format)
        assert (found.time, found.flags) == (NOW, FUTURE)


def test_a_time_before_the_year_2000_is_flagged() -> None:
    for format, value in (
        ("unix", 0),
        ("unix_ms", 1000),
        ("%Y-%m-%d", "1999-12-31"),
        ("iso8601", "1970-01-01T00:00:00Z"),
    ):
        found = sample({"at": value}, timestamp_path="at", timestamp_format=format)
        assert (found.time.year < 2000, found.flags) == (True, OLD)


@pytest.mark.parametrize(
    ("format", "value"), [("vmark", "2026-02-01_11:00:00.5"), ("iso8601", "2026-02-01T11:00:00.5")]
)
def test_a_local_time_is_one_of_the_time_zone_that_is_set(format: str, value: str) -> None:
    found = sample({"at": value}, timestamp_path="at", timestamp_format=format, time_zone="Europe/Berlin")
    assert found.time == datetime(2026, 2, 1, 10, 0, 0, 500_000, tzinfo=UTC)


def test_a_local_time_that_the_clock_showed_twice_is_flagged() -> None:
    found = sample(
        {"at": "26.10.2025 02:30"},
        timestamp_path="at",
        timestamp_format="%d.%m.%Y %H:%M",
        time_zone="Europe/Berlin",
    )
    assert (found.time, found.flags) == (datetime(2025, 10, 26, 0, 30, tzinfo=UTC), AMBIGUOUS)


def test_null_is_no_time_and_a_missing_one_may_be_allowed() -> None:
    assert sample({"at": None, "t": 1}, timestamp_path="at").time == NOW
    assert sample({"t": 1}, timestamp_path="at", timestamp_optional=True).flags == 0


def test_an_array_of_objects_is_many_messages_unless_a_path_says_which() -> None:
    payload = [{"sn": "a", "t": 1}, {"sn": "b", "t": 2}]
    assert [one.device_id for one in decoded(payload, device_id_path="sn").samples] == ["a", "b"]
    assert [
        one.device_id for one in decoded(payload, device_id_path="1.sn", telemetry_path="0.t").samples
    ] == ["b"]


def test_presence_topics_can_be_read_like_all_others() -> None:
    said = decoded({"status": "offline"}, "devices/d/status").presence
    assert said is not None
    assert not said.online
    assert values({"status": "offline"}, topic="devices/d/status", presence=False) == {"status": "offline"}


def test_nul_is_refused() -> None:
    assert refused({"a": "x\0"}).code == "value.invalid"


@pytest.mark.parametrize(
    "settings",
    [
        {"telemetry_path": "a..b"},
        {"telemetry_path": ".a"},
        {"telemetry_path": "a."},
        {"telemetry_path": ""},
        {"telemetry_path": "a\\"},
        {"telemetry_path": "a." * 40 + "a"},
        {"timestamp_format": "iso"},
        {"timestamp_format": "%H:%M"},
        {"timestamp_format": "%c"},
        {"timestamp_format": "%Y%m%d%"},
        {"timestamp_format": "%d%d %m %Y"},
        {"timestamp_format": "%d %m %Y %I:%M"},
        {"timestamp_format": "%Y-%m-%d" + " " * 100},
        {"timestamp_optional": True},
        {"time_zone": "Mars/Olympus"},
        {"scale": {"a": 0}},
        {"scale": {"a": float("inf")}},
        {"scale": {"a": 1, "b": 2}, "renames": {"a": "b"}},
        {"units": {"a": "x" * 33}},
        {"renames": {"a": ""}},
        {"renames": {"a": "b\0"}},
        {"renames": {str(n): str(-n) for n in range(501)}},
        {"device_path": "a"},
        {"expression": {"language": "python", "source": "1"}},
        {"expression": {"language": "jsonata", "source": "1"}, "telemetry_path": "a"},
        {"expression": {"language": "jsonata", "source": "x" * 5000}},
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CustomSettings.model_validate(settings)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2026, 3, 1)))  # noqa: DTZ001  # as a clock shows it
def test_a_pattern_reads_what_strftime_writes(moment: datetime) -> None:
    for format in ("%Y-%m-%d_%H:%M:%S.%f", "%d.%m.%Y %H:%M:%S,%f", "%Y%m%d%H%M%S%f", "%j/%Y %I-%M-%S-%f %p"):
        time, flags = reader(format, "UTC")(moment.strftime(format), NOW)
        assert (time, flags & ~OLD) == (moment.replace(tzinfo=UTC), 0)


@given(st.text(max_size=120), st.sampled_from(["%d%m%Y%H%M%S%f", "%b %d %Y %I:%M %p %z", "%Y-%j"]))
def test_no_text_breaks_a_pattern(text: str, format: str) -> None:
    time, flags = reader(format, "Europe/Berlin")(text, NOW)
    assert time.tzinfo is UTC
    assert flags & ~OLD in (0, UNPARSABLE, FUTURE, AMBIGUOUS)
