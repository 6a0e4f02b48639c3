"""What Sparkplug's births teach: the names, data types and units behind the aliases of later messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from contracts.decoders.limits import METRIC_CHARS_MAX, UNIT_CHARS_MAX
from contracts.decoders.sparkplug_payload import properties
from contracts.failures import Unprocessable

NODE = ""  # the part of the edge node itself, beside one of each device
NAMES_MAX = 16_384  # of an edge node with its devices: some 4 MB in memory
DEVICES_MAX = 1_000  # of an edge node
_BD_SEQ = "bdSeq"


class Birth(msgspec.Struct, frozen=True, array_like=True):
    """Of an edge node or a device."""

    aliases: dict[int, str]
    types: dict[str, tuple[int | None, str | None]]  # data type and unit, by name
    bd_seq: int | None = None  # of a node: which of its sessions this is


NOBODY = Birth({}, {})
dump = msgspec.msgpack.Encoder().encode
load = msgspec.msgpack.Decoder(Birth).decode


def learnt(data: bytes, metrics: list[dict[str, Any]]) -> Birth:
    """From a birth's metrics."""
    aliases: dict[int, str] = {}
    types: dict[str, tuple[int | None, str | None]] = {}
    bd_seq = None
    for at, metric in enumerate(metrics):
        name = metric.get("name")
        if not name:
            raise Unprocessable(
                "payload.not_sparkplug", "a birth gives each metric's name", field=f"metrics.{at}"
            )
        if len(name) > METRIC_CHARS_MAX:
            raise Unprocessable(
                "metric.invalid", f"a metric name has 1 to {METRIC_CHARS_MAX} characters", field=name[:80]
            )
        alias = metric.get("alias")
        if alias is not None and aliases.setdefault(alias, name) != name:
            raise Unprocessable(
                "payload.not_sparkplug", f"alias {alias} stands for two names", field=name[:80]
            )
        types[name] = (metric.get("datatype"), unit_of(data, metric, name))
        if name == _BD_SEQ:
            bd_seq = session(metric)
    return Birth(aliases, types, bd_seq)


def unit_of(data: bytes, metric: dict[str, Any], name: str) -> str | None:
    """The property `engUnit`, by which edge nodes give it; Sparkplug itself names none."""
    unit = properties(data, metric).get("engUnit")
    if not isinstance(unit, str) or not unit:
        return None
    if len(unit) > UNIT_CHARS_MAX:
        raise Unprocessable(
            "value.too_large", f"a unit has at most {UNIT_CHARS_MAX} characters", field=name[:80]
        )
    return unit


def session(metric: dict[str, Any]) -> int | None:
    return metric.get("long", metric.get("int"))


def bd_seq_of(metrics: list[dict[str, Any]]) -> int | None:
    return next((session(metric) for metric in metrics if metric.get("name") == _BD_SEQ), None)


def with_part(parts: Mapping[str, Birth], part: str, birth: Birth) -> dict[str, Birth]:
    """A birth that says what the last one did stays that one; the limits hold for all parts together."""
    changed = dict(parts)
    if changed.get(part) != birth:
        changed[part] = birth
    if len(changed.keys() - {NODE}) > DEVICES_MAX:
        raise Unprocessable("payload.too_many", f"over {DEVICES_MAX} devices at one edge node")
    if sum(len(each.types) for each in changed.values()) > NAMES_MAX:
        raise Unprocessable("payload.too_many", f"over {NAMES_MAX} metrics at one edge node and its devices")
    return changed
