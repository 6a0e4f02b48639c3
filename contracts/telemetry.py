"""Queries over the read models. Every list is newest first and pages by an opaque cursor."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, JsonValue

from contracts.activity_kinds import Direction
from contracts.calls import Call, Model, Page

NAMES_MAX = 100  # devices or metrics that one question names
Limit = Annotated[int, Field(ge=1, le=1000)]
Value = float | int | bool | str
Names = Annotated[tuple[str, ...], Field(max_length=NAMES_MAX)]  # any of them; empty: all


class Query(Model):
    organization: str
    limit: Limit = 100
    cursor: str | None = None


class ListTelemetry(Query):
    provenance: bool = False
    device_id: Names = ()
    metric: Names = ()
    integration_id: Names = ()
    from_: AwareDatetime | None = None  # inclusive
    to: AwareDatetime | None = None  # exclusive


class ListMessages(Query):
    device_id: str | None = None
    integration_id: str | None = None
    from_: AwareDatetime | None = None
    to: AwareDatetime | None = None


QUERY_CHARS_MAX = 64
FILTER_TAGS_MAX = 10
DeviceSort = Literal[
    "-first_seen",
    "first_seen",
    "id",
    "-id",
    "name",
    "-name",
    "last_seen",
    "-last_seen",
    "messages",
    "-messages",
]


class ListDevices(Query):
    """`q` finds the beginnings of the id, the name, and of the parts of both, in small and capital letters."""

    q: Annotated[str, Field(max_length=QUERY_CHARS_MAX)] | None = None
    online: bool | None = None
    tag: Annotated[tuple[str, ...], Field(max_length=FILTER_TAGS_MAX)] = ()  # all of them, as they are kept
    integration_id: str | None = None  # came by it at least once
    seen_from: AwareDatetime | None = None  # inclusive
    seen_to: AwareDatetime | None = None  # exclusive
    hidden: bool | None = None  # None: both
    sort: DeviceSort = "-first_seen"


class ListMetrics(Query):
    name: str | None = None


class GetDevice(Model):
    organization: str
    id: str


KINDS_MAX = 20


class ActivityFilter(Model):
    """`kind`: any of these, `link.*` for all that begin so. `q`: all of its words, anywhere in what is said."""

    kind: Annotated[tuple[str, ...], Field(max_length=KINDS_MAX)] = ()
    status: str | None = None
    direction: Direction | None = None
    device_id: str | None = None
    integration_id: str | None = None
    credential_id: str | None = None
    actor: str | None = None
    q: Annotated[str, Field(max_length=QUERY_CHARS_MAX)] | None = None
    from_: AwareDatetime | None = None
    to: AwareDatetime | None = None


class ListActivity(ActivityFilter, Query):
    pass


class GetActivity(Model):
    organization: str
    id: str


class Provenance(Model):
    """What a reading was made of (the message, by the log's epoch and its sequence there), and by what."""

    epoch: int
    sequence: int
    position: int  # of the sample in its message
    decoder: str | None  # None: stored before this was noted
    version: int | None
    settings_hash: str | None  # tells settings apart without showing them; empty: the defaults
    flags: tuple[str, ...] = ()  # what to know before relying on it: time_future, doubtful, gap_before, …


class TelemetryRow(Model):
    """All metrics of one message for one device and time."""

    device_id: str
    timestamp: datetime
    metrics: dict[str, Value]
    units: dict[str, str] = {}
    topic: str
    integration_id: str  # `hosted`, `http` or an integration's id
    time_replaced: bool = False  # the device's own time was unreadable or lay in the future
    sequence: int
    provenance: Provenance | None = None  # where it is asked for


class MessageRow(Model):
    """`payload` is text where it is valid UTF-8, else base64: `encoding` says which."""

    sequence: int
    received_at: datetime
    device_id: str | None
    topic: str
    integration_id: str
    qos: int
    retain: bool
    payload: str
    encoding: Literal["utf-8", "base64"]
    failure: str | None = None  # why it could not be decoded: a failure code


class LatestValue(Model):
    value: Value
    unit: str | None = None
    timestamp: datetime


class DeviceRow(Model):
    """`first_seen` is None for one that people described and that never sent."""

    id: str
    name: str | None = None  # as people call it
    tags: tuple[str, ...] = ()
    metadata: dict[str, JsonValue] = {}
    hidden: bool = False
    messages: int = 0
    online: bool | None  # None: never said
    online_since: datetime | None = None
    offline_since: datetime | None = None
    # the device's own word, its last will, or the hosted broker's word of its connections
    presence_from: Literal["status", "lwt", "connected", "disconnected"] | None = None
    first_seen: datetime | None
    last_seen: datetime | None


class DeviceDetail(DeviceRow):
    latest: dict[str, LatestValue]


Kind = Literal["number", "boolean", "text"]


class MetricUse(Model):
    unit: str | None
    kind: Kind
    first_day: date
    last_day: date


class MetricRow(Model):
    """`kind` and `unit` as people set them, else of the newest use; `conflict`: devices send several of either."""

    name: str
    kind: Kind | None  # None: never sent, and nobody said
    unit: str | None
    label: str | None = None
    description: str | None = None
    described: bool = False  # whether people said something of it
    conflict: bool
    uses: tuple[MetricUse, ...]  # the newest first, at most 20


class ActivityRow(Model):
    id: str
    time: datetime
    kind: str  # contracts.activity_kinds has them all
    direction: Direction = "own"
    status: str
    summary: str
    actor: str
    subject: str | None = None
    device_id: str | None = None
    reason: str | None = None
    duration_ms: float | None = None
    details: dict[str, Any] = {}
    trace_id: str | None = None  # of the request or message that it came of (W3C Trace Context)


LIST_TELEMETRY = Call("query.telemetry.readings", ListTelemetry, Page[TelemetryRow], timeout_s=10.0)
LIST_MESSAGES = Call("query.telemetry.messages", ListMessages, Page[MessageRow], timeout_s=10.0)
LIST_DEVICES = Call("query.telemetry.devices", ListDevices, Page[DeviceRow], timeout_s=10.0)
LIST_METRICS = Call("query.telemetry.metrics", ListMetrics, Page[MetricRow], timeout_s=10.0)
GET_DEVICE = Call("query.telemetry.device", GetDevice, DeviceDetail, timeout_s=10.0)
LIST_ACTIVITY = Call("query.telemetry.activity", ListActivity, Page[ActivityRow], timeout_s=10.0)
GET_ACTIVITY = Call("query.telemetry.activity-entry", GetActivity, ActivityRow, timeout_s=10.0)
