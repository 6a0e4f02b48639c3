"""`standard`: JSON in the shapes that most devices send."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict

from contracts.decoders.addressing import Address, address, device_in, named
from contracts.decoders.flatten import add, check_distinct, check_stored
from contracts.decoders.limits import (
    INT_MAX,
    INT_MIN,
    METRIC_CHARS_MAX,
    READINGS_MAX,
    SAMPLES_MAX,
    STATUS_CHARS_MAX,
    UNIT_CHARS_MAX,
)
from contracts.decoders.model import Decoded, Message, Presence, Reading, Sample
from contracts.decoders.times import device_time
from contracts.failures import Unprocessable

CONTAINERS = ("metrics", "data", "telemetry", "values", "readings")
RESERVED = frozenset({"device", "deviceId", "device_id", "id", "timestamp", "ts", "time", "type", "topic"})
OFFLINE_WORDS = frozenset({"offline", "disconnected", "down", "dead", "lost", "off", "false", "0"})
_parse = msgspec.json.Decoder().decode
_SCALARS = frozenset({float, int, bool, str})


class StandardSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    numeric_strings: bool = False
    """Read "21.5" as a number; else it stays the text that the device sent."""


class Standard:
    """Readings from JSON, presence from `status`, `lwt` and `last-will`.

    What is nothing, in this decoder's eyes: null is no reading, and the others of its message are kept; an
    object without a value (`{}`, or reserved keys only) is a sample without readings, for the device was
    heard; an empty array is no sample. An array of objects is a sample for each; any other array is indexed,
    at every depth (`a.0.1`); one that mixes both is refused. Of a key that stands twice the last one counts.
    """

    name = "standard"
    version = 1
    Settings = StandardSettings

    def decode(self, message: Message, settings: StandardSettings) -> Decoded:
        where = address(message.topic, message.hosted_device, message.prefix)
        if where.kind == "neither":
            return Decoded()
        if where.kind == "presence":
            return Decoded(presence=_presence(message, where))
        payload = message.payload
        content = parse(payload)
        if type(content) is dict:
            if len(content) == 1 and type(content.get("result")) in (int, float):
                return Decoded()  # an echo of a reply
            samples = [_sample(content, where, message.received, settings)]
        elif type(content) is list and any(type(item) is dict for item in content):
            samples = _samples(content, where, message.received, settings)
        else:
            if content == []:
                return Decoded()
            readings: list[Reading] = []
            add(readings, where.last, content, settings.numeric_strings)
            samples = [Sample(named(where), message.received, 0, readings)]
        if 92 in payload and b"\\u0000" in payload:  # 92 is the backslash: one byte is found much faster
            for sample in samples:
                check_stored(sample.readings)
        return Decoded(samples)


def parse(payload: bytes) -> Any:
    """The JSON value; Unprocessable says what is wrong with it."""
    try:
        return _parse(payload)
    except msgspec.ValidationError as error:
        raise Unprocessable("value.not_finite", "a number lies beyond a double's range") from error
    except RecursionError as error:
        raise Unprocessable("payload.too_deep", "nested beyond what the parser takes") from error
    except ValueError as error:
        if not payload.strip():
            raise Unprocessable("payload.empty", "the payload has no content") from error
        if _holds_not_finite(payload):
            raise Unprocessable("value.not_finite", "NaN and Infinity are no JSON, and no reading") from error
        raise Unprocessable("payload.not_json", str(error)) from error


class _NotFinite(Exception):
    pass


def _holds_not_finite(payload: bytes) -> bool:
    """Whether NaN or Infinity is what first kept this from being JSON: Python's json writes them."""

    def found(literal: str) -> None:
        raise _NotFinite(literal)

    try:
        json.loads(payload, parse_constant=found)
    except _NotFinite:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _samples(
    items: list[Any], where: Address, received: datetime, settings: StandardSettings
) -> list[Sample]:
    """Many messages in one; all are read or none."""
    if len(items) > SAMPLES_MAX:
        raise Unprocessable("payload.too_many", f"over {SAMPLES_MAX} objects in one message")
    samples = []
    count = 0
    for index, item in enumerate(items):
        if type(item) is not dict:
            raise Unprocessable(
                "payload.unsupported", "an array of objects and other values", field=str(index)
            )
        samples.append(_sample(item, where, received, settings))
        count += len(samples[-1].readings)
        if count > READINGS_MAX:
            raise Unprocessable("payload.too_many", f"over {READINGS_MAX} readings in one message")
    return samples


def _sample(
    content: dict[str, Any], where: Address, received: datetime, settings: StandardSettings
) -> Sample:
    device = where.device or device_in(content, where)
    moment, flags = device_time(_own_time(content), received)
    readings: list[Reading] = []
    numeric_strings = settings.numeric_strings
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


def _presence(message: Message, where: Address) -> Presence:
    """`lwt` and `last-will` mean offline, whatever they carry. A `status` is what its word says.

    A word that means neither is kept, and the device online: it just spoke.
    """
    content: Any = None
    with suppress(ValueError, RecursionError):  # then it is the bare word
        content = _parse(message.payload)
    fields = content if type(content) is dict else {}
    device = where.device or device_in(fields, where)
    moment, flags = device_time(
        fields.get("timestamp") or fields.get("ts") or fields.get("time"), message.received
    )
    channel = where.last
    if channel != "status":
        return Presence(device, False, channel, moment, flags)
    word = _word(content, message.payload)
    return Presence(device, word.lower() not in OFFLINE_WORDS, channel, moment, flags, word)


def _word(content: Any, payload: bytes) -> str:
    if type(content) is dict:
        content = content.get("status")
    elif content is None:
        content = payload.decode(errors="replace").strip()
    if type(content) is bool or type(content) is int:
        content = str(content).lower() if abs(content) <= INT_MAX else None
    if type(content) is not str:
        raise Unprocessable("payload.unsupported", 'a status is {"status": "online"} or the bare word')
    if not content:
        raise Unprocessable("payload.empty", "the status is empty")
    if len(content) > STATUS_CHARS_MAX or not content.isprintable():
        raise Unprocessable(
            "payload.unsupported", f"a status is a word of at most {STATUS_CHARS_MAX} characters"
        )
    return content
