"""`vmark`: LoRa hubs and their tags, which publish for themselves and stop when nobody answers."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from typing import Any

from contracts.decoders.addressing import address, device_in
from contracts.decoders.flatten import add, check_distinct, check_stored
from contracts.decoders.json_text import is_echo, may_hold_nul, parse
from contracts.decoders.model import FUTURE, Decoded, Example, Message, Reading, Reply, Sample
from contracts.decoders.presence import presence
from contracts.decoders.settings import DecoderSettings, NumericStrings, TimeZone
from contracts.decoders.times import AHEAD_MAX, device_time, from_local
from contracts.failures import Unprocessable
from contracts.topics import TOPIC_BYTES_MAX

REPORT = "properties_report"
REPLY_SUFFIX = "_reply"
_ANSWER = b'{"result":0}'
_CONTAINERS = ("paras", "data")
_LOCAL = re.compile(r"(\d{4}-\d\d-\d\d)_(\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?", re.ASCII)


class VmarkSettings(DecoderSettings):
    time_zone: TimeZone = "UTC"
    numeric_strings: NumericStrings = False


class Vmark:
    """Readings from `paras`, or `data` where there is none; `{"result":0}` on `<topic>_reply` as the answer.

    An object with a `handle` but neither of the two is a sample without readings: the device was heard.
    """

    name = "vmark"
    version = 1
    description = (
        "LoRa hub gateways that report `paras`, with a local time, and wait for an answer on `<topic>_reply`:"
        " it is published once the message is in the log."
    )
    example = Example(
        "$sys/version/1.0/devices/2400390030314701/product/VTS13W01/mac/A4E57C000001/dev_protocol/1"
        "/properties/up",
        b'{"device":"2400390030314701","handle":"properties_report",'
        b'"paras":{"temperature":22.77,"RSSI":-20},"time":"2025-04-23_07:35:22.214"}',
    )
    Settings = VmarkSettings

    def decode(self, message: Message, settings: VmarkSettings) -> Decoded:
        where = address(message.topic, message.hosted_device, message.prefix)
        if where.kind == "neither":
            return Decoded()
        if where.kind == "presence":
            return Decoded(presence=presence(message, where))
        content = parse(message.payload)
        if type(content) is not dict:
            raise Unprocessable("payload.unsupported", "a vmark message is an object")
        if is_echo(content):
            return Decoded()
        device = where.device or device_in(content, where)
        moment, flags = _time(content.get("time"), message.received, settings.time_zone)
        readings: list[Reading] = []
        nested = False
        for name, value in _paras(content).items():
            nested = nested or type(value) in (dict, list)
            add(readings, name, value, settings.numeric_strings)
        if nested:
            check_distinct(readings)
        if may_hold_nul(message.payload):
            check_stored(readings)
        return Decoded([Sample(device, moment, flags, readings)], reply=_reply(message.topic, content))

    def reply(self, topic: str, payload: bytes) -> Reply | None:
        """What the device waits for, also of a message whose readings are a dead letter: the log has it."""
        if topic.endswith(REPLY_SUFFIX) or REPORT.encode() not in payload:  # the quick way for the others
            return None
        with suppress(Unprocessable):
            return _reply(topic, parse(payload))
        return None


def _reply(topic: str, content: Any) -> Reply | None:
    if type(content) is not dict or content.get("handle") != REPORT:
        return None
    answer = topic + REPLY_SUFFIX
    return Reply(answer, _ANSWER) if len(answer.encode()) <= TOPIC_BYTES_MAX else None


def _paras(content: dict[str, Any]) -> dict[str, Any]:
    for key in _CONTAINERS:
        if key in content:
            if type(content[key]) is not dict:
                raise Unprocessable("payload.unsupported", f"`{key}` is no object", field=key)
            return content[key]  # type: ignore[no-any-return]
    if type(content.get("handle")) is not str:
        raise Unprocessable("payload.unsupported", "no `paras`, no `data` and no `handle`", field="paras")
    return {}


def _time(value: Any, received: datetime, zone: str) -> tuple[datetime, int]:
    """`YYYY-MM-DD_HH:MM:SS.mmm` is local; any other form is as all decoders take it."""
    found = _LOCAL.fullmatch(value) if type(value) is str else None
    if found is None:
        return device_time(value, received)
    date, clock, fraction = found.groups()
    try:
        local = datetime.fromisoformat(f"{date}T{clock}.{fraction or '0':0<6}")
        moment, flags = from_local(local, zone)
    except (ValueError, OverflowError):
        return device_time(value, received)  # which finds that it is none
    return (received, FUTURE) if moment - received > AHEAD_MAX else (moment, flags)
