"""`standard`: JSON in the shapes that most devices send."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contracts.decoders.addressing import Address, address, device_in, named
from contracts.decoders.arrays import samples_of_each
from contracts.decoders.flatten import add, check_distinct, check_stored
from contracts.decoders.json_text import is_echo, may_hold_nul, parse
from contracts.decoders.limits import (
    INT_MAX,
    INT_MIN,
    METRIC_CHARS_MAX,
    READINGS_MAX,
    UNIT_CHARS_MAX,
)
from contracts.decoders.model import Decoded, Example, Message, Reading, Sample
from contracts.decoders.presence import presence
from contracts.decoders.settings import DecoderSettings, NumericStrings
from contracts.decoders.times import device_time
from contracts.failures import Unprocessable

CONTAINERS = ("metrics", "data", "telemetry", "values", "readings")
RESERVED = frozenset({"device", "deviceId", "device_id", "id", "timestamp", "ts", "time", "type", "topic"})
_SCALARS = frozenset({float, int, bool, str})


class StandardSettings(DecoderSettings):
    numeric_strings: NumericStrings = False


class Standard:
    """Readings from JSON, presence from `status`, `lwt` and `last-will`.

    What is nothing, in this decoder's eyes: null is no reading, and the others of its message are kept; an
    object without a value (`{}`, or reserved keys only) is a sample without readings, for the device was
    heard; an empty array is no sample. An array of objects is a sample for each; any other array is indexed,
    at every depth (`a.0.1`); one that mixes both is refused. Of a key that stands twice the last one counts.
    """

    name = "standard"
    version = 2  # 2: flags times before 2000
    description = (
        "JSON in the shapes that most devices send: readings under metrics, data, telemetry, values or"
        " readings, or as top-level keys; nested names joined by dots."
    )
    example = Example(
        "devices/s1/telemetry",
        b'{"temperature":21.5,"humidity":40,"env":{"co2":700},"timestamp":"2026-03-01T10:00:00Z"}',
    )
    Settings = StandardSettings

    def decode(self, message: Message, settings: StandardSettings) -> Decoded:
        where = address(message.topic, message.hosted_device, message.prefix)
        if where.kind == "neither":
            return Decoded()
        if where.kind == "presence":
            return Decoded(presence=presence(message, where))
        samples = samples_of(parse(message.payload), where, message.received, settings.numeric_strings)
        if may_hold_nul(message.payload):
            for sample in samples:
                check_stored(sample.readings)
        return Decoded(samples)


def samples_of(content: Any, where: Address, received: datetime, numeric_strings: bool) -> list[Sample]:
    """What a parsed payload says, by the rules of Standard; NUL is not looked for."""
    if type(content) is dict:
        return [] if is_echo(content) else [_sample(content, where, received, numeric_strings)]
    if type(content) is list and any(type(item) is dict for item in content):
        return samples_of_each(content, lambda item: _sample(item, where, received, numeric_strings))
    if content == []:
        return []
    readings: list[Reading] = []
    add(readings, where.last, content, numeric_strings)
    return [Sample(named(where), received, 0, readings)]


def _sample(content: dict[str, Any], where: Address, received: datetime, numeric_strings: bool) -> Sample:
    device = where.device or device_in(content, where)
    moment, flags = device_time(_own_time(content), received)
    readings: list[Reading] = []
    nested = False
    new = tuple.__new__
    for key in CONTAINERS:
        source = content.get(key)
        if type(source) is dict:
            break
    else:
        source = {key: value for key, value in content.items() if key not in RESERVED}
        nested = _take_sensor(content, source, readings, numeric_strings)
    for name, value in source.items():
        kind = type(value)
        # The usual values by the short way; `add` holds the same rules, and all others.
        if (kind is float or (kind is int and INT_MIN <= value <= INT_MAX)) and 0 < len(
            name
        ) <= METRIC_CHARS_MAX:
            readings.append(new(Reading, (name, value, None)))  # a third of the cost of calling Reading
        else:
            nested = nested or kind is dict or kind is list
            add(readings, name, value, numeric_strings)
    if len(readings) > READINGS_MAX:
        raise Unprocessable("payload.too_many", f"over {READINGS_MAX} readings in one message")
    if nested:
        check_distinct(readings)  # the keys of one object are distinct already
    return Sample(device, moment, flags, readings)


def _own_time(content: dict[str, Any]) -> Any:
    for key in ("timestamp", "ts", "time"):
        value = content.get(key)
        if value is not None:
            return value
    return None


def _take_sensor(
    content: dict[str, Any], source: dict[str, Any], readings: list[Reading], numeric_strings: bool
) -> bool:
    """`{"type": "temperature", "value": 21.5, "units": "°C"}` is one reading, named by its type.

    Takes its keys out of `source`, so that what else the object holds is kept beside it.
    """
    name, value = content.get("type"), content.get("value")
    if type(name) is not str or not name or type(value) not in _SCALARS:
        return False
    del source["value"]
    unit = None
    for key in ("units", "unit"):
        if type(source.get(key)) is str:
            unit = source.pop(key)
            break
    if unit is not None and len(unit) > UNIT_CHARS_MAX:
        raise Unprocessable("value.too_large", f"a unit has at most {UNIT_CHARS_MAX} characters", field=key)
    add(readings, name, value, numeric_strings)
    readings[-1] = readings[-1]._replace(unit=unit)
    return True
