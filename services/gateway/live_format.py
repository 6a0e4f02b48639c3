"""A message of the log as a server-sent event."""

from __future__ import annotations

import base64
import random
from datetime import UTC, datetime
from typing import Any

import msgspec

from contracts import decoders, messages
from contracts.decoders import DEFAULT, Decoded, Message
from contracts.failures import Unprocessable
from contracts.messages import StoredMessage
from contracts.topics import device_of
from runtime.pull import Entry

HEARTBEAT = b": \n\n"
RETRY_MS = (500, 2000)  # with jitter, so that clients of a stopped server do not come back together
_encode = msgspec.json.Encoder().encode
_decoder = decoders.get(DEFAULT)
_settings = _decoder.Settings()


def opening() -> bytes:
    """Sent at once, so that proxies and clients see the stream begin."""
    return f"retry: {random.randint(*RETRY_MS)}\n: stream\n\n".encode()


def gap(reason: str, after: int, resumes_at: int) -> bytes:
    """Messages behind `after` may be missing: `trimmed` (too old) or `recreated` (another log)."""
    data = _encode({"reason": reason, "last_event_id": after, "resumes_at": resumes_at})
    return b"event: gap\ndata: " + data + b"\n\n"


def message(entry: Entry, device_id: str | None) -> bytes:
    """The event, or nothing where a device is asked for and this message says nothing of it."""
    stored_at = datetime.fromtimestamp(entry.time_ns / 1e9, UTC)
    stored = messages.stored(entry.subject, entry.headers, entry.data, stored_at)
    decoded, failure = _decode(stored)
    devices = [sample.device_id for sample in decoded.samples]
    if decoded.presence is not None:
        devices.append(decoded.presence.device_id)
    device = stored.hosted_device or device_of(stored.topic) or (devices[0] if devices else None)
    if device_id is not None and device_id != device and device_id not in devices:
        return b""
    data = _encode(_event(entry, stored, decoded, device, failure))
    return b"id: %d\nevent: message\ndata: %s\n\n" % (entry.sequence, data)


def _decode(stored: StoredMessage) -> tuple[Decoded, str | None]:
    try:
        return _decoder.decode(
            Message(stored.topic, stored.payload, stored.received, stored.hosted_device), _settings
        ), None
    except Unprocessable as failure:
        return Decoded(), failure.code


def _event(
    entry: Entry, stored: StoredMessage, decoded: Decoded, device: str | None, failure: str | None
) -> dict[str, Any]:
    try:
        payload, encoding = stored.payload.decode(), "utf-8"
    except UnicodeDecodeError:
        payload, encoding = base64.b64encode(stored.payload).decode(), "base64"
    event: dict[str, Any] = {
        "sequence": entry.sequence,
        "received_at": stored.received,
        "device_id": device,
        "topic": stored.topic,
        "integration_id": stored.source,
        "qos": stored.qos,
        "retain": stored.retain,
        "payload": payload,
        "encoding": encoding,
        "readings": [
            {
                "device_id": sample.device_id,
                "timestamp": sample.time,
                "metrics": {reading.metric: reading.value for reading in sample.readings},
                "units": {reading.metric: reading.unit for reading in sample.readings if reading.unit},
            }
            for sample in decoded.samples
        ],
    }
    if decoded.presence is not None:
        event["presence"] = {"device_id": decoded.presence.device_id, "online": decoded.presence.online}
    if failure is not None:
        event["failure"] = failure
    return event
