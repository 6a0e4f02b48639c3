"""MQTT topics and filters (MQTT 3.1.1 §4.7), the platform's own rules, and their form as NATS subjects."""

from __future__ import annotations

import re
from functools import lru_cache

from contracts.failures import Refused

# MQTT allows 65,535 bytes. A topic becomes a NATS subject and a message header here, and nats-server reads a
# whole protocol line of at most 4,096 bytes: 1,024 leave room for the prefix and for `.`, which doubles.
TOPIC_BYTES_MAX = 1_024
# Real topics have up to 12 levels (vmark); each level costs every subscription's matching a step.
LEVELS_MAX = 32
# The letters of a device id mean nothing special to MQTT, NATS (`.` is mapped) or a URL. The first one keeps
# `.` and `..` out, which HTTP clients resolve away, and `-x`, which shells take for an option.
DEVICE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,127}", re.ASCII)
_CONTROL = re.compile(r"[\x01-\x1f\x7f-\x9f]")
_CACHED_MAX = 16_384  # topics looked at over and over; at most some 20 MB


def check_topic(topic: str, *, hosted: bool = True) -> None:
    """Refuse (`topic.invalid`) what may not be published to; `hosted=False` allows spaces and `$…`."""
    _check(topic, "topic.invalid", hosted)
    for wildcard in "+#":
        if wildcard in topic:
            raise Refused(
                "topic.invalid",
                f"`{wildcard}` at position {topic.index(wildcard)}: a topic holds no wildcard",
            )


def check_filter(filter: str, *, hosted: bool = True) -> None:
    """Refuse (`filter.invalid`) what may not be subscribed to; `hosted=False` allows spaces and `$…`."""
    _check(filter, "filter.invalid", hosted)
    levels = filter.split("/")
    if levels[0] == "$share" and (len(levels) < 3 or levels[1] in ("", "+", "#")):
        raise Refused("filter.invalid", "a shared subscription is `$share/<group>/<filter>`")
    position = 0
    for index, level in enumerate(levels):
        if "#" in level and (level != "#" or index != len(levels) - 1):
            at = position + level.index("#")
            raise Refused("filter.invalid", f"`#` at position {at}: it must be the whole of the last level")
        if "+" in level and level != "+":
            at = position + level.index("+")
            raise Refused("filter.invalid", f"`+` at position {at}: it must be the whole of its level")
        position += len(level) + 1


def _check(text: str, code: str, hosted: bool) -> None:
    """The rules that topics and filters share."""
    if not text:
        raise Refused(code, "it is empty: at least one character is needed")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise Refused(code, f"position {error.start} is half a surrogate pair: no UTF-8") from None
    if size > TOPIC_BYTES_MAX:
        raise Refused(code, f"it has {size} bytes, at most {TOPIC_BYTES_MAX} are taken")
    if text.count("/") >= LEVELS_MAX:
        raise Refused(code, f"it has {text.count('/') + 1} levels, at most {LEVELS_MAX} are taken")
    if "\0" in text:
        raise Refused(code, f"NUL at position {text.index(chr(0))}")
    for wildcard in "*>":
        if wildcard in text:
            raise Refused(code, f"`{wildcard}` at position {text.index(wildcard)}: the bus's wildcard")
    if not hosted:
        return
    if " " in text:
        raise Refused(code, f"space at position {text.index(' ')}: the hosted broker takes none")
    if found := _CONTROL.search(text):
        raise Refused(code, f"control character at position {found.start()}")
    if text.startswith("$"):
        raise Refused(code, "`$` at position 0: such topics belong to the broker")


def check_device_id(name: str) -> None:
    """Refuse (`device.invalid`) an id that is not safe as an MQTT level, a NATS token and a URL segment."""
    if not DEVICE_ID.fullmatch(name):
        raise Refused(
            "device.invalid",
            "a device id has 1 to 128 of A-Z a-z 0-9 _ . : @ - and begins with a letter, a digit or _",
        )


def matches(filter: str, topic: str) -> bool:
    """Whether a subscription to `filter` gets what is published to `topic`; both valid."""
    wanted, levels = filter.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False  # §4.7.2: a leading wildcard never reaches into `$…`
    for index, level in enumerate(wanted):
        if level == "#":
            return True  # also its parent: `a/#` matches `a`
        if index == len(levels) or level not in ("+", levels[index]):
            return False
    return len(wanted) == len(levels)


def covers(outer_filter: str, inner_filter: str) -> bool:
    """Whether `outer_filter` matches every topic that `inner_filter` matches; both valid."""
    outer, inner = outer_filter.split("/"), inner_filter.split("/")
    if inner == ["#"]:
        inner = ["+", "#"]  # the same: every topic has a first level
    if inner[0].startswith("$") and outer[0] in ("+", "#"):
        return False
    for index, level in enumerate(outer):
        if level == "#":
            return True
        if index == len(inner) or inner[index] == "#" or level not in ("+", inner[index]):
            return False
    return len(outer) == len(inner)


def to_subject(topic: str) -> str:
    """The NATS subject that nats-server gives an MQTT topic: `/` → `.`, an empty level → `/`, `.` → `//`."""
    if " " in topic:
        raise Refused("topic.invalid", f"space at position {topic.index(' ')}: a subject cannot hold it")
    return ".".join(level.replace(".", "//") or "/" for level in topic.split("/"))


def from_subject(subject: str) -> str:
    """The MQTT topic that `to_subject` made this of."""
    return "/".join("" if part == "/" else part.replace("//", ".") for part in subject.split("."))


def filter_to_subjects(filter: str) -> tuple[str, ...]:
    """The NATS subjects that together match what `filter` matches: `a/#` is `a.>` and `a`."""
    levels = filter.split("/")
    tokens = [{"+": "*", "#": ">"}.get(level) or level.replace(".", "//") or "/" for level in levels]
    subject = ".".join(tokens)
    if levels[-1] != "#" or levels[:-1] in ([], [""]):
        return (subject,)  # `#` and `/#` have no parent: a topic is never empty
    return subject, ".".join(tokens[:-1])


@lru_cache(maxsize=_CACHED_MAX)
def device_and_channel(topic: str) -> tuple[str | None, str | None]:
    """What stands after the first whole segment `devices`: the device, and the channel behind it."""
    levels = topic.split("/")
    for index, level in enumerate(levels[:-1]):
        if level == "devices" and levels[index + 1]:
            return levels[index + 1], levels[index + 2] if index + 2 < len(levels) else None
    return None, None


def device_of(topic: str) -> str | None:
    """The device that a topic names: the segment after a segment `devices`, anywhere in it."""
    return device_and_channel(topic)[0]


def channel_of(topic: str) -> str | None:
    """The segment after the device's: `sensor` in `org_x/devices/d7/sensor/pressure`."""
    return device_and_channel(topic)[1]
