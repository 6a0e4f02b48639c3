"""Publishing out, over a link's own connection or to the hosted broker; answered with what the broker said."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.calls import Call, Model
from contracts.failures import Refused
from contracts.links import LinkCall, LinkRequest
from contracts.streams import PAYLOAD_BYTES_MAX

MESSAGES_MAX = 1_000  # of a batch
BATCH_BYTES_MAX = 640 * 1024  # topics and payloads of a batch: as base64 it is one message on the bus (1 MiB)


class Message(Model):
    """`payload` is base64 here: bytes come through as they are."""

    topic: str
    payload: Annotated[str, StringConstraints(max_length=PAYLOAD_BYTES_MAX * 4 // 3 + 4)]
    qos: Literal[0, 1, 2] = 0
    retain: bool = False

    def payload_bytes(self) -> bytes:
        """Refused("request.invalid"), ("payload.too_large")."""
        try:
            payload = base64.b64decode(self.payload, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused("request.invalid", "the payload is no base64", field="payload") from error
        if len(payload) > PAYLOAD_BYTES_MAX:
            detail = f"a payload has at most {PAYLOAD_BYTES_MAX} bytes"
            raise Refused("payload.too_large", detail, field="payload")
        return payload


class Publish(LinkRequest):
    message: Message


class Published(Model):
    """`acknowledged`: by the broker (QoS 1 and 2; QoS 0 has no acknowledgement). `remark`: what it said besides
    yes, like "No matching subscribers" (MQTT 5)."""

    acknowledged: bool
    remark: str | None = None
    duration_ms: float


class PublishBatch(LinkRequest):
    messages: Annotated[tuple[Message, ...], Field(max_length=MESSAGES_MAX)]


class PublishFailure(Model):
    code: str
    detail: str
    field: str | None = None


class Outcome(Model):
    """Of one message of a batch."""

    acknowledged: bool = False
    remark: str | None = None
    failure: PublishFailure | None = None


class BatchPublished(Model):
    """In the order of the messages."""

    outcomes: tuple[Outcome, ...]
    duration_ms: float


PUBLISH = Call("command.ingest.publish", Publish, Published, timeout_s=12.0)
PUBLISH_BATCH = Call("command.ingest.publish-batch", PublishBatch, BatchPublished, timeout_s=15.0)
PUBLISH_TO_LINK = LinkCall("publish", Publish, Published, timeout_s=12.0)
PUBLISH_BATCH_TO_LINK = LinkCall("publish-batch", PublishBatch, BatchPublished, timeout_s=15.0)
