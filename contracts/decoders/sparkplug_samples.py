"""From Sparkplug metrics to samples: names, values, units, times."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from contracts.decoders.binary import as_text
from contracts.decoders.flatten import add, check_distinct, check_stored
from contracts.decoders.limits import METRIC_CHARS_MAX, READINGS_MAX, SAMPLES_MAX
from contracts.decoders.model import DOUBTFUL, FUTURE, HISTORICAL, OLD, UNPARSABLE, Message, Reading, Sample
from contracts.decoders.protobuf import read
from contracts.decoders.sparkplug_births import Birth, unit_of
from contracts.decoders.sparkplug_payload import (
    DATASET,
    ELEMENT,
    METRIC,
    PARAMETER,
    ROW,
    TEMPLATE,
    properties,
    scalar,
)
from contracts.decoders.times import AHEAD_MAX, EPOCH, OLD_BEFORE
from contracts.failures import Unprocessable

if TYPE_CHECKING:
    from contracts.decoders.sparkplug import SparkplugSettings

GOOD = 192  # the property `Quality`: 0 is bad, 500 stale
TEMPLATES_DEPTH_MAX = 8  # templates in templates


def from_millis(value: int | None, received: datetime) -> tuple[datetime, int]:
    """Milliseconds since 1970, and nothing else: Sparkplug's times need no telling apart."""
    if value is None:
        return received, 0
    try:
        moment = EPOCH + timedelta(milliseconds=value)
    except OverflowError:
        return received, UNPARSABLE
    if moment - received > AHEAD_MAX:
        return received, FUTURE
    return moment, 0 if moment >= OLD_BEFORE else OLD


def samples_of(
    message: Message,
    device: str,
    metrics: list[dict[str, Any]],
    born: Birth,
    moment: datetime,
    flags: int,
    settings: SparkplugSettings,
) -> list[Sample]:
    """A sample for each time; metrics without one of their own have the payload's. None at all was heard."""
    reader = _Values(message.payload, born, settings)
    held: dict[tuple[datetime, int], Sample] = {}
    # The usual message has one time: it is looked at once.
    last_stamp, last = None, (moment, flags)
    for at, metric in enumerate(metrics):
        stamp = metric.get("timestamp")
        key = (moment, flags)
        if stamp is not None:
            if stamp != last_stamp:
                own, why = from_millis(stamp, message.received)
                last_stamp, last = stamp, (own, flags & ~(UNPARSABLE | FUTURE | OLD) | why)
            key = last
        if more := reader.flags(metric):
            key = (key[0], key[1] | more)
        sample = held.get(key)
        if sample is None:
            if len(held) >= SAMPLES_MAX:
                raise Unprocessable("payload.too_many", f"over {SAMPLES_MAX} times in one message")
            sample = held[key] = Sample(device, *key, [])
        reader.add(sample.readings, metric, at)
    samples = list(held.values()) or [Sample(device, moment, flags, [])]
    nul = b"\0" in message.payload
    for sample in samples:
        check_distinct(sample.readings)
        if nul:
            check_stored(sample.readings)
    return samples


class _Values:
    def __init__(self, data: bytes, born: Birth, settings: SparkplugSettings) -> None:
        self._data, self._born = data, born
        self._bytes_as = as_text(settings.byte_strings)

    def flags(self, metric: dict[str, Any]) -> int:
        flags = HISTORICAL if metric.get("historical") else 0
        if "properties" in metric and properties(self._data, metric).get("Quality", GOOD) != GOOD:
            flags |= DOUBTFUL
        return flags

    def add(self, readings: list[Reading], metric: dict[str, Any], at: int) -> None:
        name = self._name(metric, at)
        datatype, unit = self._born.types.get(name, (None, None))
        if "properties" in metric:
            unit = unit_of(self._data, metric, name) or unit
        start = len(readings)
        self._value(readings, name, metric, metric.get("datatype") or datatype, 0)
        if unit:
            readings[start:] = [reading._replace(unit=unit) for reading in readings[start:]]

    def _name(self, metric: dict[str, Any], at: int) -> str:
        name = metric.get("name")
        if name:
            return name  # type: ignore[no-any-return]
        alias = metric.get("alias")
        if alias is None:
            raise Unprocessable(
                "payload.not_sparkplug", "a metric has neither name nor alias", field=f"metrics.{at}"
            )
        if (known := self._born.aliases.get(alias)) is None:
            raise Unprocessable(
                "decoder.alias_unknown", f"no birth explains alias {alias}", field=f"metrics.{at}"
            )
        return known

    def _value(
        self, readings: list[Reading], name: str, held: dict[str, Any], datatype: int | None, depth: int
    ) -> None:
        if "dataset" in held and not held.get("null"):
            self._dataset(readings, name, held["dataset"])
        elif "template" in held and not held.get("null"):
            self._template(readings, name, held["template"], depth)
        else:
            value = scalar(held, datatype, name)
            if type(value) is bytes:
                value = self._bytes_as(value)
            if type(value) is float and value - value != 0:
                raise Unprocessable("value.not_finite", "NaN or infinite", field=name[:80])
            if type(value) is list:
                self._finite(value, name)
            add(readings, name, value, numeric_strings=False)

    def _finite(self, values: list[Any], name: str) -> None:
        if any(type(value) is float and value - value != 0 for value in values):
            raise Unprocessable("value.not_finite", "NaN or infinite", field=name[:80])

    def _dataset(self, readings: list[Reading], name: str, span: tuple[int, int]) -> None:
        data = self._data
        held = read(data, span, DATASET)
        columns, types = held.get("columns", []), held.get("types", [])
        if len(columns) != len(types):
            raise Unprocessable("payload.not_sparkplug", "a data set has a type a column", field=name[:80])
        rows = held.get("rows", ())
        if len(rows) * max(len(columns), 1) > READINGS_MAX:
            raise Unprocessable(
                "payload.too_many", f"over {READINGS_MAX} cells in a data set", field=name[:80]
            )
        for column in columns:
            _joined(name, column)
        for row, row_span in enumerate(rows):
            elements = read(data, row_span, ROW).get("elements", [])
            if len(elements) != len(columns):
                raise Unprocessable(
                    "payload.not_sparkplug", f"row {row} has another number of columns", field=name[:80]
                )
            for column, datatype, element in zip(columns, types, elements, strict=True):
                cell = f"{name}.{row}.{column}"
                self._value(readings, cell, read(data, element, ELEMENT), datatype, 0)

    def _template(self, readings: list[Reading], name: str, span: tuple[int, int], depth: int) -> None:
        if depth >= TEMPLATES_DEPTH_MAX:
            raise Unprocessable(
                "payload.too_deep", f"over {TEMPLATES_DEPTH_MAX} templates in each other", field=name[:80]
            )
        held = read(self._data, span, TEMPLATE)
        if held.get("definition"):
            return
        metrics, parameters = held.get("metrics", ()), held.get("parameters", ())
        if len(metrics) + len(parameters) > READINGS_MAX:
            raise Unprocessable(
                "payload.too_many", f"over {READINGS_MAX} members in a template", field=name[:80]
            )
        for at, member_span in enumerate(metrics):
            member = read(self._data, member_span, METRIC)
            inner = _joined(name, self._name(member, at))
            self._value(readings, inner, member, member.get("datatype"), depth + 1)
        for parameter_span in parameters:
            parameter = read(self._data, parameter_span, PARAMETER)
            inner = _joined(name, parameter.get("name", ""))
            self._value(readings, inner, parameter, parameter.get("datatype"), depth + 1)


def _joined(name: str, member: str) -> str:
    """Checked before it is made: many long ones of nothing but nulls would cost, and come to nothing."""
    if len(name) + len(member) >= METRIC_CHARS_MAX:
        raise Unprocessable(
            "metric.invalid", f"a metric name has 1 to {METRIC_CHARS_MAX} characters", field=name[:80]
        )
    return f"{name}.{member}"
