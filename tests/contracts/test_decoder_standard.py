from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.decoders import Decoded, Message, Presence, Reading, Sample, get
from contracts.decoders.limits import DEPTH_MAX, METRIC_CHARS_MAX, READINGS_MAX, SAMPLES_MAX, TEXT_CHARS_MAX
from contracts.failures import Unprocessable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)
standard = get("standard")


def decode(
    payload: str | bytes,
    topic: str = "devices/s1/telemetry",
    hosted: str | None = None,
    prefix: str | None = None,
    **settings: Any,
) -> Decoded:
    content = payload.encode() if isinstance(payload, str) else payload
    return standard.decode(Message(topic, content, NOW, hosted, prefix), standard.Settings(**settings))


def sample(payload: str | bytes, topic: str = "devices/s1/telemetry", **more: Any) -> Sample:
    (only,) = decode(payload, topic, **more).samples
    return only


def readings(payload: str | bytes, topic: str = "devices/s1/telemetry", **more: Any) -> dict[str, Any]:
    return {metric: value for metric, value, _ in sample(payload, topic, **more).readings}


def reason(payload: str | bytes, topic: str = "devices/s1/telemetry", **more: Any) -> str:
    with pytest.raises(Unprocessable) as raised:
        decode(payload, topic, **more)
    return raised.value.code


def test_top_level_keys_are_readings() -> None:
    got = sample('{"temperature":21.5,"humidity":40,"co2":700,"timestamp":"2026-03-01T10:00:00Z"}')
    assert got == Sample(
        "s1", TEN, 0, [Reading("temperature", 21.5), Reading("humidity", 40), Reading("co2", 700)]
    )


def test_an_object_of_data_outranks_the_top_level() -> None:
    got = sample('{"id":"s2","data":{"temp":21.5,"hum":40},"timestamp":1745647522,"x":1}')
    assert got.readings == [Reading("temp", 21.5), Reading("hum", 40)]
    assert got.time == datetime(2025, 4, 26, 6, 5, 22, tzinfo=UTC)


@pytest.mark.parametrize("last", ["values", "telemetry", "data", "metrics"])
def test_containers_are_preferred_in_their_order(last: str) -> None:
    order = ["metrics", "data", "telemetry", "values", "readings"]
    keys = order[order.index(last) :]
    payload = ",".join(f'"{key}":{{"{key}_x":1}}' for key in reversed(keys))
    assert readings(f"{{{payload}}}") == {f"{last}_x": 1}


def test_a_container_that_holds_no_object_is_a_metric() -> None:
    assert readings('{"data":5,"values":[1,2]}') == {"data": 5, "values.0": 1, "values.1": 2}


def test_a_bare_scalar_is_named_by_the_topics_last_segment() -> None:
    got = sample("1013.2", "org_x/devices/d7/sensor/pressure", hosted="d7")
    assert got == Sample("d7", NOW, 0, [Reading("pressure", 1013.2)])
    assert readings('"LOST"', "devices/d7/sensor/state") == {"state": "LOST"}
    assert readings("true", "devices/d7/sensor/door") == {"door": True}


def test_nested_objects_flatten_with_dots_and_arrays_with_indices() -> None:
    payload = '{"env":{"temperature":1,"deep":{"x":true}},"volts":[3.1,3.2],"grid":[[1],[2]],"o":[{"a":1}]}'
    assert readings(payload) == {
        "env.temperature": 1,
        "env.deep.x": True,
        "volts.0": 3.1,
        "volts.1": 3.2,
        "grid.0.0": 1,
        "grid.1.0": 2,
        "o.0.a": 1,
    }


def test_an_array_of_objects_is_many_messages() -> None:
    got = decode('[{"id":"a","t":1,"ts":1772359200},{"id":"b","t":2}]', "plant/up")
    assert got.samples == [Sample("a", TEN, 0, [Reading("t", 1)]), Sample("b", NOW, 0, [Reading("t", 2)])]


def test_an_array_of_numbers_is_indexed_below_the_topics_last_segment() -> None:
    assert readings("[1,2.5]", "devices/d/sensor/volts") == {"volts.0": 1, "volts.1": 2.5}


def test_an_array_that_mixes_objects_and_values_is_refused() -> None:
    assert reason('[{"t":1},2]') == "payload.unsupported"


def test_a_sensor_style_object_is_one_reading_named_by_its_type() -> None:
    got = sample('{"type": "temperature", "value": 21.5, "units": "°C"}')
    assert got.readings == [Reading("temperature", 21.5, "°C")]
    assert sample('{"type":"door","value":true}').readings == [Reading("door", True)]


def test_what_a_sensor_style_object_holds_besides_is_kept() -> None:
    assert readings('{"type":"t","value":1,"unit":"K","battery":90,"id":"x"}') == {"t": 1, "battery": 90}


def test_a_type_without_a_scalar_value_is_no_sensor() -> None:
    assert readings('{"type":"report","temperature":1}') == {"temperature": 1}
    assert readings('{"type":"report","value":{"a":1}}') == {"value.a": 1}


def test_reserved_keys_are_no_metrics_at_the_top_level_only() -> None:
    payload = (
        '{"device":"a","deviceId":"b","device_id":"c","id":1,'
        '"timestamp":1,"ts":1,"time":1,"type":"t","topic":"x"}'
    )
    assert sample(payload).readings == []
    assert readings('{"data":{"id":7,"time":3}}') == {"id": 7, "time": 3}
    assert readings('{"a":{"id":7}}') == {"a.id": 7}


def test_all_metrics_are_kept_in_the_devices_spelling() -> None:
    assert readings('{"SmapleTrigger":"TIMER","Ünï cödé":1,"a-b c":2}') == {
        "SmapleTrigger": "TIMER",
        "Ünï cödé": 1,
        "a-b c": 2,
    }


def test_numeric_strings_stay_text_unless_the_settings_say_otherwise() -> None:
    payload = '{"a":"21.5","b":"-3","c":"1e3","d":"x","e":"99999999999999999999","f":"١"}'
    assert readings(payload)["a"] == "21.5"
    assert readings(payload, numeric_strings=True) == {
        "a": 21.5,
        "b": -3,
        "c": 1000.0,
        "d": "x",
        "e": 1e20,
        "f": "١",
    }
    assert reason('{"a":"1e400"}', numeric_strings=True) == "value.not_finite"


def test_null_is_no_reading_and_the_others_are_kept() -> None:
    assert readings('{"a":null,"b":1}') == {"b": 1}


@pytest.mark.parametrize(
    "payload", ["{}", "null", '{"ts":1772359200}', '{"metrics":{}}', '{"a":null}', '{"a":{}}']
)
def test_an_object_without_a_value_says_only_that_the_device_was_heard(payload: str) -> None:
    assert sample(payload).readings == []


def test_an_empty_array_says_nothing() -> None:
    assert decode("[]") == Decoded()


# devices


@pytest.mark.parametrize(
    ("payload", "device"),
    [
        ('{"id":"4","device_id":"3","deviceId":"2","device":"1"}', "1"),
        ('{"id":"4","device_id":"3","deviceId":"2"}', "2"),
        ('{"id":"4","device_id":"3"}', "3"),
        ('{"id":4}', "4"),
        ('{"device":{"x":1},"id":"4"}', "4"),
        ('{"device":true,"id":"4"}', "4"),
        ('{"device":"","id":"4"}', "4"),
        ('{"device":null,"id":"4"}', "4"),
    ],
)
def test_the_payloads_keys_name_the_device_in_their_order(payload: str, device: str) -> None:
    assert sample(payload, "plant/up", prefix="plant").device_id == device


def test_the_topic_outranks_the_payload_and_the_payload_the_prefix() -> None:
    assert sample('{"id":"p","t":1}', "x/devices/t/up").device_id == "t"
    assert sample('{"id":"p","t":1}', "org_a/devices/h/telemetry", hosted="h").device_id == "h"
    assert sample('{"t":1}', "plant/x/up", prefix="plant").device_id == "x"
    assert sample('{"t":1}', "plant/x/up", prefix="plant/").device_id == "x"


def test_a_prefix_is_a_plain_string_and_ends_at_a_level() -> None:
    for prefix in ("pl.nt", "pla", "+", ""):
        assert reason('{"t":1}', "plant/x/up", prefix=prefix) == "device.unknown"


def test_a_message_of_no_device_is_a_dead_letter() -> None:
    assert reason('{"t":1}', "plant/up") == "device.unknown"
    assert reason("5", "plant/up") == "device.unknown"


def test_a_device_id_that_cannot_be_stored_is_a_dead_letter() -> None:
    assert reason('{"id":"a\\u0000b"}', "plant/up") == "device.invalid"
    assert reason("{}", f"devices/{'x' * 129}/telemetry") == "device.invalid"
    assert reason("{}", "devices/a\tb/telemetry") == "device.invalid"


# no telemetry


def test_replies_and_echoes_are_no_telemetry() -> None:
    assert decode('{"t":1}', "devices/s1/telemetry_reply") == Decoded()
    assert decode('{"result":0}') == Decoded()
    assert readings('{"result":"ok"}') == {"result": "ok"}
    assert readings('{"result":0,"t":1}') == {"result": 0, "t": 1}


def test_the_answer_to_a_command_is_no_telemetry() -> None:
    assert decode('{"ok":true}', "devices/s1/responses/cmd_5d41402abc4b2a76b971") == Decoded()
    assert readings('{"ok":true}', "devices/s1/responses/of-its-own") == {"ok": True}


@pytest.mark.parametrize("channel", ["telemetry", "data", "sensor", "sensors"])
def test_the_hosted_brokers_reading_channels_are_decoded(channel: str) -> None:
    assert sample('{"t":1}', f"org_x/devices/d/{channel}", hosted="d").readings == [Reading("t", 1)]


@pytest.mark.parametrize("rest", ["/config", "", "/log/telemetry", "/config/status"])
def test_the_hosted_brokers_other_channels_are_stored_undecoded(rest: str) -> None:
    assert decode("not json", f"org_x/devices/d{rest}", hosted="d") == Decoded()


def test_raw_reads_nothing() -> None:
    raw = get("raw")
    assert raw.decode(Message("a", b"\xff", NOW), raw.Settings()) == Decoded()


def test_an_unknown_decoder_is_refused_with_the_names_of_the_known() -> None:
    with pytest.raises(Unprocessable) as raised:
        get("Standard")
    assert raised.value.code == "decoder.unknown"
    assert "raw, senml" in raised.value.detail


# presence


@pytest.mark.parametrize(
    ("payload", "online"),
    [
        ('{"status":"online"}', True),
        ('{"status":"offline"}', False),
        ('{"status":"Offline","rssi":-3}', False),
        ("online", True),
        ("offline\n", False),
        ('"offline"', False),
        ('{"status":true}', True),
        ("0", False),
        ("rebooting", True),
    ],
)
def test_a_status_says_whether_the_device_is_online(payload: str, online: bool) -> None:
    for topic, hosted in (("devices/s1/status", None), ("org_x/devices/s1/status", "s1")):
        presence = decode(payload, topic, hosted=hosted).presence
        assert presence is not None
        assert (presence.device_id, presence.online, presence.reason) == ("s1", online, "status")


@pytest.mark.parametrize("channel", ["lwt", "last-will"])
@pytest.mark.parametrize("payload", ["", "x", '{"status":"online"}'])
def test_a_last_will_means_offline_whatever_it_carries(channel: str, payload: str) -> None:
    presence = decode(payload, f"devices/s1/{channel}").presence
    assert presence == Presence("s1", False, channel, NOW)


def test_a_status_carries_its_own_time_and_word() -> None:
    got = decode('{"status":"busy","ts":1772359200,"id":"s9"}', "plant/status").presence
    assert got == Presence("s9", True, "status", TEN, 0, "busy")


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("", "payload.empty"),
        ("{}", "payload.unsupported"),
        ("[1]", "payload.unsupported"),
        ("x" * 65, "payload.unsupported"),
        ('{"status":"offl', "payload.not_json"),
        ("{status: offline}", "payload.not_json"),
        ('"off', "payload.not_json"),
        (b"\xff", "payload.not_text"),
    ],
)
def test_a_status_without_a_word_is_a_dead_letter(payload: str | bytes, code: str) -> None:
    assert reason(payload, "devices/s1/status") == code


# what cannot be read


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "payload.empty"),
        (b" \n", "payload.empty"),
        (b"hello", "payload.not_json"),
        (b'{"t":1', "payload.not_json"),
        (b'{"t":1,}', "payload.not_json"),
        (b"{'t':1}", "payload.not_json"),
        (b'{"t":01}', "payload.not_json"),
        (b'{"t":.5}', "payload.not_json"),
        (b"1 2", "payload.not_json"),
        (b'\xef\xbb\xbf{"t":1}', "payload.not_json"),
        (b'{"t":"\xff"}', "payload.not_json"),
        (b'{"t":"\\ud800"}', "payload.not_json"),
        (b'{"\\udc00":1}', "payload.not_json"),
        (b'{"t":"\xed\xa0\x80"}', "payload.not_json"),
        (b'{"t":"\n"}', "payload.not_json"),
        (b'{"t":NaN}', "value.not_finite"),
        (b'{"t":-Infinity}', "value.not_finite"),
        (b'{"t":1e400}', "value.not_finite"),
        (b'{"t":-1e400}', "value.not_finite"),
        (b'{"t":1' + b"0" * 400 + b"}", "value.not_finite"),
        (b'{"t":' + b"9" * 5000 + b"}", "value.not_finite"),
        (b"[" * 10_000 + b"]" * 10_000, "payload.too_deep"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "payload.too_deep"),
        (b'{"":1}', "metric.invalid"),
        (b'{"a\\u0000":1}', "metric.invalid"),
        (b'{"a":"\\u0000"}', "value.invalid"),
        (b'{"a.b":1,"a":{"b":2}}', "metric.ambiguous"),
        (b'{"type":"t","value":1,"t":2}', "metric.ambiguous"),
        (b'{"type":"t","value":1,"unit":"' + b"x" * 33 + b'"}', "value.too_large"),
    ],
)
def test_what_cannot_be_read_is_a_dead_letter_with_its_reason(payload: bytes, code: str) -> None:
    assert reason(payload) == code


def test_each_limit_is_reached_and_not_passed() -> None:
    assert readings('{"a":%s}' % ("[" * DEPTH_MAX + "1" + "]" * DEPTH_MAX))
    assert reason('{"a":%s}' % ("[" * (DEPTH_MAX + 1) + "1" + "]" * (DEPTH_MAX + 1))) == "payload.too_deep"
    assert readings(f'{{"{"n" * METRIC_CHARS_MAX}":1}}')
    assert reason(f'{{"{"n" * (METRIC_CHARS_MAX + 1)}":1}}') == "metric.invalid"
    assert readings(f'{{"a":"{"t" * TEXT_CHARS_MAX}"}}')
    assert reason(f'{{"a":"{"t" * (TEXT_CHARS_MAX + 1)}"}}') == "value.too_large"
    numbers = ",".join("1" * READINGS_MAX)
    assert len(readings(f"[{numbers}]")) == READINGS_MAX
    assert reason(f"[{numbers},1]") == "payload.too_many"
    assert reason(f'[{{"a":[{numbers}]}},{{"a":1}}]') == "payload.too_many"
    objects = ",".join(["{}"] * SAMPLES_MAX)
    assert len(decode(f"[{objects}]").samples) == SAMPLES_MAX
    assert reason(f"[{objects},{{}}]") == "payload.too_many"
    keys = ",".join(f'"k{number}":1' for number in range(READINGS_MAX + 1))
    assert reason(f"{{{keys}}}") == "payload.too_many"


def test_an_escaped_backslash_before_u0000_is_no_nul() -> None:
    assert readings('{"a":"\\\\u0000"}') == {"a": "\\u0000"}


def test_a_whole_number_beyond_64_bits_becomes_the_nearest_double() -> None:
    payload = f'{{"max":{2**63 - 1},"over":{2**63},"min":{-(2**63)},"under":{-(2**63) - 1}}}'
    got = readings(payload)
    assert got == {"max": 2**63 - 1, "over": 2.0**63, "min": -(2**63), "under": -(2.0**63)}
    assert [type(value) for value in got.values()] == [int, float, int, float]


def test_of_a_key_that_stands_twice_the_last_one_counts() -> None:
    assert readings('{"a":1,"a":2}') == {"a": 2}


def test_booleans_stay_booleans() -> None:
    assert readings('{"a":true,"b":false}') == {"a": True, "b": False}
    assert type(readings('{"a":true}')["a"]) is bool
