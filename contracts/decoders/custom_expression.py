"""From what an expression gave to readings: pure; evaluating it is done elsewhere, in a process of its own.

An expression gets `{"topic": …, "payload": …, "received_at": …}`: the MQTT topic, the parsed JSON, the time of
receiving as RFC 3339 in UTC. It gives one object, or an array of such:

    {"device_id": "S9", "time": "2026-03-01T10:00:00Z", "readings": {"temperature": 21.5}}

`device_id` is a text or a whole number; without it (or with null), topic and prefix name the device, as on the hosted
broker in any case. `time` is as in all decoders; without it, the time of receiving. `readings` is an object, flattened
with dots, or an array of `{"name", "value", "unit"?}`. Nothing at all (null, undefined, an empty array) means that the
message says nothing: it is stored, without readings. Everything else is a dead letter.
"""

from __future__ import annotations

from typing import Any

from contracts.decoders.addressing import Address, address, checked, named
from contracts.decoders.custom_mapping import apply
from contracts.decoders.custom_settings import CustomSettings
from contracts.decoders.flatten import add, check_distinct, check_stored
from contracts.decoders.limits import READINGS_MAX, SAMPLES_MAX, UNIT_CHARS_MAX
from contracts.decoders.model import Decoded, Message, Reading, Sample
from contracts.decoders.times import device_time
from contracts.failures import Unprocessable

_KEYS = frozenset({"device_id", "time", "readings"})


def is_asked(message: Message, settings: CustomSettings) -> bool:
    """Whether the expression is to see this message: no answers to devices, and no presence."""
    where = address(message.topic, message.hosted_device, message.prefix)
    return where.kind == "readings" or (where.kind == "presence" and not settings.presence)


def decoded(value: Any, message: Message, settings: CustomSettings) -> Decoded:
    """`value` is what the expression gave; `decoder.result` says why it is no result."""
    if value is None:
        return Decoded()
    items = value if type(value) is list else [value]
    if len(items) > SAMPLES_MAX:
        raise Unprocessable("payload.too_many", f"over {SAMPLES_MAX} objects in one result")
    where = address(message.topic, message.hosted_device, message.prefix)
    samples = [_sample(item, where, message, settings) for item in items]
    if sum(len(sample.readings) for sample in samples) > READINGS_MAX:
        raise Unprocessable("payload.too_many", f"over {READINGS_MAX} readings in one result")
    return Decoded(samples)


def _sample(item: Any, where: Address, message: Message, settings: CustomSettings) -> Sample:
    if type(item) is not dict or "readings" not in item:
        raise _wrong("the result is an object with `readings`, or an array of such objects")
    if unknown := sorted(item.keys() - _KEYS):
        raise _wrong(f"a result holds device_id, time and readings, not {unknown[0][:80]!r}")
    moment, flags = device_time(item.get("time"), message.received)
    readings = _readings(item["readings"], settings)
    _check_finite(readings)
    if settings.mapping:
        apply(readings, settings.mapping)
    check_distinct(readings)
    check_stored(readings)
    return Sample(message.vouched_device or _device(item.get("device_id"), where), moment, flags, readings)


def _device(value: Any, where: Address) -> str:
    if value is None:
        return named(where)
    if type(value) is int and abs(value) < 2**64:
        return str(value)
    if type(value) is str and value:
        return checked(value)
    raise _wrong("`device_id` is a text or a whole number")


def _readings(value: Any, settings: CustomSettings) -> list[Reading]:
    readings: list[Reading] = []
    if type(value) is dict:
        for name, inner in value.items():
            add(readings, name, inner, settings.numeric_strings)
    elif type(value) is list:
        for item in value:
            _add(readings, item, settings)
    elif value is not None:
        raise _wrong("`readings` is an object, or an array of {name, value, unit}")
    return readings


def _add(readings: list[Reading], item: Any, settings: CustomSettings) -> None:
    if type(item) is not dict or "value" not in item or len(item) != ("unit" in item) + 2:
        raise _wrong("a reading in an array is {name, value, unit}, the unit left out where there is none")
    name, unit = item.get("name"), item.get("unit")
    if type(name) is not str:
        raise _wrong("the name of a reading is a text")
    start = len(readings)
    add(readings, name, item["value"], settings.numeric_strings)
    if unit is None:
        return
    if type(unit) is not str or len(unit) > UNIT_CHARS_MAX:
        raise _wrong(f"a unit is a text of at most {UNIT_CHARS_MAX} characters")
    for at in range(start, len(readings)):
        readings[at] = readings[at]._replace(unit=unit)


def _check_finite(readings: list[Reading]) -> None:
    """1/0 is Infinity to an expression."""
    for metric, value, _ in readings:
        if type(value) is float and value - value != 0:
            raise Unprocessable("value.not_finite", "the expression gave no finite number", field=metric[:80])


def _wrong(why: str) -> Unprocessable:
    return Unprocessable("decoder.result", why, field="decoder.settings.expression")
