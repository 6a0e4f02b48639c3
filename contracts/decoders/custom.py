"""`custom`: the tenant's own mapping, by paths. What they do not fit is a dead letter that names the path."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from contracts.decoders.addressing import Address, address, checked, device_in
from contracts.decoders.arrays import samples_of_each
from contracts.decoders.custom_mapping import apply
from contracts.decoders.custom_paths import Path, named
from contracts.decoders.custom_settings import CustomSettings
from contracts.decoders.flatten import add, check_distinct, check_stored
from contracts.decoders.json_text import is_echo, may_hold_nul, parse
from contracts.decoders.limits import METRIC_CHARS_MAX, READINGS_MAX
from contracts.decoders.model import Decoded, Example, Message, Reading, Sample
from contracts.decoders.presence import presence
from contracts.decoders.standard import RESERVED
from contracts.failures import Unprocessable

_TIMES = ("timestamp", "ts", "time")


class Custom:
    """Readings from where `telemetry_path` leads: an object, flattened with dots, or a single value.

    A message that is an array of objects is many messages in one, unless a path begins with an index. What
    `device_id_path` and `timestamp_path` find is no reading; without `telemetry_path` the reserved keys are
    none either. Without the other two, the usual keys tell device and time. null is no reading, and no time.
    """

    name = "custom"
    version = 2  # 2: by HTTP the topic's device outranks `device_id_path`
    description = (
        "JSON of any shape: paths say where device, time and readings stand, and what their names, units and"
        " scales are. Where paths do not reach, an expression in JSONata or JMESPath."
    )
    example = Example(
        "plant/7/up", b'{"deviceId":"S9","env":{"temperature":21.5},"timestamp":"2026-03-01T10:00:00Z"}'
    )
    Settings = CustomSettings

    def decode(self, message: Message, settings: CustomSettings) -> Decoded:
        where = address(message.topic, message.hosted_device, message.prefix)
        if where.kind == "neither":
            return Decoded()
        if where.kind == "presence" and settings.presence:
            return Decoded(presence=presence(message, where))
        if settings.expression is not None:
            raise Unprocessable("decoder.unavailable", "an expression is evaluated elsewhere, and was not")
        content = parse(message.payload)
        if settings.telemetry is None and is_echo(content):
            return Decoded()
        if type(content) is list and settings.is_batch and any(type(item) is dict for item in content):
            samples = samples_of_each(content, lambda item: _sample(item, where, message, settings))
        else:
            samples = [_sample(content, where, message, settings)]
        if may_hold_nul(message.payload):
            for sample in samples:
                check_stored(sample.readings)
        return Decoded(samples)


def _sample(content: Any, where: Address, message: Message, settings: CustomSettings) -> Sample:
    device = message.vouched_device or _device(content, where, settings.device)
    moment, flags = _time(content, message.received, settings)
    telemetry = settings.telemetry
    found = content if telemetry is None else telemetry.find(content)
    readings: list[Reading] = []
    nested = False
    if type(found) is dict:
        left_out, new = settings.left_out, tuple.__new__
        for name, value in found.items():
            kind = type(value)
            if name in left_out or (telemetry is None and name in RESERVED):
                continue
            if kind is float and 0 < len(name) <= METRIC_CHARS_MAX:  # the short way; `add` holds all rules
                readings.append(new(Reading, (name, value, None)))
                continue
            nested = nested or kind is dict or kind is list
            add(readings, name, value, settings.numeric_strings)
        if len(readings) > READINGS_MAX:
            raise Unprocessable("payload.too_many", f"over {READINGS_MAX} readings in one message")
        if nested and settings.left_out:
            readings = [one for one in readings if one.metric not in settings.left_out]
    else:
        nested = type(found) is list
        name = _last(telemetry, where)
        add(readings, name, found, settings.numeric_strings)
        if nested and settings.left_out:
            readings = [
                one for one in readings if one.metric.removeprefix(f"{name}.") not in settings.left_out
            ]
    if settings.mapping:
        apply(readings, settings.mapping)
    if nested or settings.renames:
        check_distinct(readings)  # the keys of one object are distinct already
    return Sample(device, moment, flags, readings)


def _device(content: Any, where: Address, at: Path | None) -> str:
    if at is None:
        return where.device or device_in(content if type(content) is dict else {}, where)
    value = at.find(content)
    if type(value) is int and abs(value) < 2**64:
        return str(value)
    if type(value) is str and value:
        return checked(value)
    raise at.mismatch(f"there is {named(value) if value != '' else 'an empty text'}, which names no device")


def _time(content: Any, received: datetime, settings: CustomSettings) -> tuple[datetime, int]:
    at = settings.timestamp
    if at is None:
        fields = content if type(content) is dict else {}
        value = next((fields[key] for key in _TIMES if fields.get(key) is not None), None)
    else:
        try:
            value = at.find(content)
        except Unprocessable:
            if not settings.timestamp_optional:
                raise
            return received, 0
    return settings.read_time(value, received)


def _last(telemetry: Path | None, where: Address) -> str:
    """What a value by itself is called: the path's last key (with the indexes below it), or the topic's end."""
    if telemetry is None:
        return where.last
    start = len(telemetry.steps) - 1
    while start and telemetry.steps[start][1] >= 0:
        start -= 1
    return ".".join(key for key, _ in telemetry.steps[start:])
