"""What a decoder would make of a message: asked before it is chosen, and of dead letters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from contracts.calls import Call, Model, Nothing
from contracts.integrations import DecoderChoice
from contracts.streams import PAYLOAD_BYTES_MAX
from contracts.telemetry import Value
from contracts.topics import TOPIC_BYTES_MAX

READINGS_SHOWN = 200
EARLIER_CHARS_MAX = 64 * 1024
PRECEDING_MAX = 5  # with 64 KiB each, and the payload, below what the bus takes in one message

Base64 = Annotated[str, StringConstraints(max_length=PAYLOAD_BYTES_MAX * 4 // 3 + 4)]
Topic = Annotated[str, StringConstraints(min_length=1, max_length=TOPIC_BYTES_MAX)]


class Earlier(Model):
    topic: Topic
    payload: Annotated[str, StringConstraints(max_length=EARLIER_CHARS_MAX)]  # base64


class PreviewDecoder(Model):
    """`payload` is base64 here: bytes come through as they are."""

    organization: str
    decoder: DecoderChoice
    topic: Topic
    payload: Base64
    prefix: str | None = None
    hosted: bool = False  # on the hosted broker the device is what the topic says
    received_at: AwareDatetime | None = None
    preceding: Annotated[tuple[Earlier, ...], Field(max_length=PRECEDING_MAX)] = ()


class PreviewReading(Model):
    metric: str
    value: Value
    unit: str | None = None


class PreviewSample(Model):
    """What one device measured at one time."""

    device_id: str
    timestamp: datetime
    flags: tuple[str, ...] = ()  # what to know before relying on it: time_future, gap_before, …
    readings: tuple[PreviewReading, ...]


class PreviewPresence(Model):
    device_id: str
    online: bool
    reason: str
    timestamp: datetime
    word: str | None = None


class PreviewReply(Model):
    """What the device would be answered."""

    topic: str
    payload: str


class PreviewFailure(Model):
    """The dead letter that it would be."""

    code: str
    title: str
    detail: str
    field: str | None = None  # the place in the payload, or the setting


class DecoderPreview(Model):
    outcome: Literal["readings", "presence", "nothing", "dead_letter"]
    samples: tuple[PreviewSample, ...] = ()
    readings: int = 0  # all of them; at most 200 are shown
    presence: tuple[PreviewPresence, ...] = ()
    reply: PreviewReply | None = None
    failure: PreviewFailure | None = None


class CheckDecoder(Model):
    """Refused("decoder.settings") names an expression that cannot be read, and where in it."""

    organization: str
    decoder: DecoderChoice


class DecoderExample(Model):
    topic: str
    payload: str
    encoding: Literal["utf-8", "base64"]


class DecoderView(Model):
    """`settings_schema` is JSON Schema: title, description, examples and bounds of every setting."""

    name: str
    version: int
    description: str
    settings_schema: dict[str, Any]
    replies: bool  # whether devices get an answer
    remembers: bool  # whether earlier messages count (births)
    example: DecoderExample


PREVIEW_DECODER = Call("query.telemetry.preview-decoder", PreviewDecoder, DecoderPreview, timeout_s=10.0)
CHECK_DECODER = Call("query.telemetry.check-decoder", CheckDecoder, Nothing, timeout_s=5.0)
