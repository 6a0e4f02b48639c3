"""What a topic says about a message: which device it is from, and what kind it is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, NamedTuple

from contracts.decoders.limits import DEVICE_CHARS_MAX
from contracts.device_commands import COMMAND_ID, RESPONSES
from contracts.failures import Unprocessable
from contracts.topics import device_and_channel

READING_CHANNELS = frozenset({"telemetry", "data", "sensor", "sensors"})
PRESENCE_CHANNELS = frozenset({"status", "lwt", "last-will"})
DEVICE_KEYS = ("device", "deviceId", "device_id", "id")
_CACHED_MAX = 16_384  # topics repeat: a fleet's fit, and memory stays below some 20 MB

Kind = Literal["readings", "presence", "neither"]


class Address(NamedTuple):
    kind: Kind
    device: str | None  # what outranks the payload
    fallback: str | None  # what the payload outranks
    last: str  # the topic's last segment


@lru_cache(maxsize=_CACHED_MAX)
def address(topic: str, hosted_device: str | None, prefix: str | None) -> Address:
    """`device.invalid` where the topic's device id cannot be one."""
    last = topic.rpartition("/")[2]
    device, channel = device_and_channel(topic)
    kind: Kind = "presence" if last in PRESENCE_CHANNELS else "readings"
    if hosted_device is not None:
        device = hosted_device
        kind = "neither"  # stored, for whoever listens to it
        if channel in READING_CHANNELS:
            kind = "readings"
        elif channel in PRESENCE_CHANNELS and channel == last:
            kind = "presence"
    if topic.endswith("_reply"):
        kind = "neither"  # ours, or another application's answer to the device
    if channel == RESPONSES and COMMAND_ID.fullmatch(last):
        kind = "neither"  # the device's answer to a command of ours
    if device is not None:
        device = checked(device)
    return Address(kind, device, None if device else _below(prefix, topic), last)


def _below(prefix: str | None, topic: str) -> str | None:
    """`<id>` of `<prefix>/<id>/…`."""
    start = f"{prefix.rstrip('/')}/" if prefix else ""
    if not start or not topic.startswith(start):
        return None
    return topic[len(start) :].partition("/")[0] or None


def checked(device: str) -> str:
    """The id itself, if it can be stored and shown."""
    if not 0 < len(device) <= DEVICE_CHARS_MAX or not device.isprintable():
        raise Unprocessable(
            "device.invalid", f"a device id has 1 to {DEVICE_CHARS_MAX} printable characters: {device[:40]!r}"
        )
    return device


def device_in(payload: dict[str, Any], where: Address) -> str:
    """The device of an object whose topic names none; `device.unknown` where nothing does."""
    for key in DEVICE_KEYS:
        value = payload.get(key)
        if type(value) is int and abs(value) < 2**64:  # type() and not isinstance(): true is no id
            return str(value)
        if type(value) is str and value:
            return checked(value)
    return named(where)


def named(where: Address) -> str:
    """The device by the topic alone."""
    if where.device is not None:
        return where.device
    if where.fallback is None:
        raise Unprocessable(
            "device.unknown",
            "no `devices/<id>` in the topic, none of device, deviceId, device_id, id in the payload,"
            " and no topic below the integration's prefix",
        )
    return checked(where.fallback)
