"""What a tenant says of its own JSON: paths, or an expression; names, units and scale of each metric."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from contracts.decoders.custom_mapping import Mapping, mapping
from contracts.decoders.custom_paths import Path, PathText, path
from contracts.decoders.custom_times import NAMED, PATTERN_CHARS_MAX, Read, reader
from contracts.decoders.limits import METRIC_CHARS_MAX, UNIT_CHARS_MAX
from contracts.decoders.settings import DecoderSettings, NumericStrings, TimeZone

METRICS_MAX = 500  # named in one table: settings stand in an event, and in memory for each integration
EXPRESSION_CHARS_MAX = 4_096
REPLACES = "x-replaces"  # in the JSON Schema: a setting that takes the place of these others
_OF_PATHS = ("device_id_path", "telemetry_path", "timestamp_path", "timestamp_format", "timestamp_optional")


def _stored(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL cannot be stored")
    return text


def _known_format(format: str) -> str:
    if format not in NAMED and "%" not in format:
        raise ValueError(f"{', '.join(NAMED)}, or a pattern like %d.%m.%Y %H:%M:%S")
    reader(format, "UTC")
    return format


Metric = Annotated[str, Field(min_length=1, max_length=METRIC_CHARS_MAX), AfterValidator(_stored)]
Unit = Annotated[str, Field(min_length=1, max_length=UNIT_CHARS_MAX), AfterValidator(_stored)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Expression(DecoderSettings):
    language: Annotated[
        Literal["jsonata", "jmespath"], Field(title="Language", examples=["jsonata", "jmespath"])
    ]
    source: Annotated[
        str,
        Field(
            title="Expression",
            description="From {topic, payload, received_at} to {device_id?, time?, readings}.",
            examples=['{"device_id": payload.sn, "readings": payload.obs{name: value}}'],
            min_length=1,
            max_length=EXPRESSION_CHARS_MAX,
        ),
    ]


class CustomSettings(DecoderSettings):
    device_id_path: Annotated[
        PathText | None,
        Field(
            title="Path of the device id",
            description="Where the device's id stands; without it, the topic and the usual keys name the device."
            " On the hosted broker, and by HTTP, the topic's device counts where it names one.",
            examples=["meta.sn"],
        ),
    ] = None
    telemetry_path: Annotated[
        PathText | None,
        Field(
            title="Path of the readings",
            description="An object with readings, or a single value; without it, the whole message.",
            examples=["body.values", "r.0"],
        ),
    ] = None
    timestamp_path: Annotated[
        PathText | None,
        Field(
            title="Path of the time",
            description="Where the time of measuring stands; without it, the time of receiving counts.",
            examples=["meta.at"],
        ),
    ] = None
    timestamp_format: Annotated[
        str,
        Field(
            title="Format of the time",
            description=f"One of {', '.join(NAMED)}, or a pattern like %d.%m.%Y %H:%M:%S (English names).",
            examples=[*NAMED, "%d.%m.%Y %H:%M:%S"],
            max_length=PATTERN_CHARS_MAX,
        ),
        AfterValidator(_known_format),
    ] = "auto"
    timestamp_optional: Annotated[
        bool,
        Field(
            title="Messages without a time",
            description="Take the time of receiving where there is nothing at the path of the time."
            " Otherwise such a message is a dead letter.",
            examples=[False, True],
        ),
    ] = False
    time_zone: TimeZone = "UTC"
    renames: Annotated[
        dict[Metric, Metric],
        Field(
            title="Names",
            description="From the device's name of a metric (nested with dots) to the one that it gets here.",
            examples=[{"t": "temperature", "env.h": "humidity"}],
            max_length=METRICS_MAX,
        ),
    ] = {}
    units: Annotated[
        dict[Metric, Unit],
        Field(
            title="Units",
            description="The unit of a metric, by the name that it has here.",
            examples=[{"temperature": "°C"}],
            max_length=METRICS_MAX,
        ),
    ] = {}
    scale: Annotated[
        dict[Metric, Number],
        Field(
            title="Scale",
            description="What a metric's number is multiplied with. A number in quotes is read as a number then.",
            examples=[{"temperature": 0.1}],
            max_length=METRICS_MAX,
        ),
    ] = {}
    offset: Annotated[
        dict[Metric, Number],
        Field(
            title="Offset",
            description="What is added to a metric's number, after scaling.",
            examples=[{"temperature": -40}],
            max_length=METRICS_MAX,
        ),
    ] = {}
    numeric_strings: NumericStrings = False
    presence: Annotated[
        bool,
        Field(
            title="Presence topics",
            description="Topics that end in status, lwt or last-will say whether the device is there."
            " Otherwise they are read like all others.",
            examples=[True, False],
        ),
    ] = True
    expression: Annotated[
        Expression | None,
        Field(
            title="Expression",
            description="Where paths do not reach; it takes the place of all of them.",
            examples=[
                {"language": "jmespath", "source": "{device_id: payload.sn, readings: payload.values}"}
            ],
            json_schema_extra={REPLACES: list(_OF_PATHS)},
        ),
    ] = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.expression is not None:
            fields = type(self).model_fields
            if given := [name for name in _OF_PATHS if getattr(self, name) != fields[name].default]:
                raise ValueError(f"an expression takes the place of {', '.join(given)}")
        elif self.timestamp_path is None and self.timestamp_optional:
            raise ValueError("timestamp_optional is about timestamp_path, which is missing")
        if 0 in self.scale.values():
            raise ValueError("a scale of 0 leaves nothing of the value")
        _ = self.mapping  # ValueError where two entries are about one metric
        return self

    @cached_property
    def device(self) -> Path | None:
        return None if self.device_id_path is None else path("device_id_path", self.device_id_path)

    @cached_property
    def telemetry(self) -> Path | None:
        return None if self.telemetry_path is None else path("telemetry_path", self.telemetry_path)

    @cached_property
    def timestamp(self) -> Path | None:
        return None if self.timestamp_path is None else path("timestamp_path", self.timestamp_path)

    @cached_property
    def read_time(self) -> Read:
        return reader(self.timestamp_format, self.time_zone)

    @cached_property
    def mapping(self) -> Mapping:
        return mapping(self.renames, self.units, self.scale, self.offset)

    @cached_property
    def left_out(self) -> frozenset[str]:
        """What names the device or the time inside the readings' object: no metric, by its dotted name."""
        base = () if self.telemetry is None else self.telemetry.steps
        names = set()
        for one in (self.device, self.timestamp):
            if one is not None and one.steps[: len(base)] == base and len(one.steps) > len(base):
                names.add(".".join(key for key, _ in one.steps[len(base) :]))
        return frozenset(names)

    @cached_property
    def is_batch(self) -> bool:
        """Whether an array of objects is many messages: no path says which of them it means."""
        return not any(
            one is not None and one.steps[0][1] >= 0 for one in (self.device, self.telemetry, self.timestamp)
        )
