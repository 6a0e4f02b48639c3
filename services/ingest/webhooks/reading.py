"""What of the logs is meant for a webhook, and how it is told: pure.

Bodies have the form that Standard Webhooks recommends: `type`, `timestamp`, `data`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from contracts import messages, subjects, upcasts
from contracts.activity import ActivityRecorded
from contracts.envelope import Recorded
from contracts.failures import Unprocessable
from contracts.messages import StoredMessage
from contracts.redecode import sources_of
from contracts.topics import device_of, matches
from contracts.webhook_deliveries import Source
from contracts.webhooks import MESSAGE, WebhookSettings, wants
from services.ingest.links import Key

_encode = msgspec.json.Encoder().encode


class Found(NamedTuple):
    """A message of a log."""

    subject: str
    headers: Mapping[str, str]
    data: bytes
    sequence: int
    time_ns: int


class Item(NamedTuple):
    """What is meant for the webhook: `id` names an event."""

    type: str
    id: str
    device: str | None
    found: Found


def item(key: Key, settings: WebhookSettings, source: Source, found: Found) -> Item | None:
    """None for what is not meant for this webhook, or cannot be read."""
    if source == "MESSAGES":
        return _message_item(key, settings, found)
    try:
        recorded = upcasts.decode(found.headers, found.data, subject=found.subject, sequence=found.sequence)
    except Unprocessable:
        return None  # the projection of this log says so, loudly
    if recorded is None:
        return None
    kind, device, integration = _about(recorded)
    own = f"webhook:{key.integration}"
    activity = recorded.event if isinstance(recorded.event, ActivityRecorded) else None
    if activity is not None and (kind.startswith("alert.") or activity.subject == own):
        return None  # alerts come from their own log; what befalls this very webhook would feed on itself
    if not wants(settings.events, kind) or not _fits(settings, device, integration):
        return None
    return Item(kind, f"evt_{recorded.id}", device, found)


def _message_item(key: Key, settings: WebhookSettings, found: Found) -> Item | None:
    if not subjects.is_message(found.subject):
        return None
    stored = _stored(found)
    device = stored.hosted_device or device_of(stored.topic)
    if settings.integration_id is not None and stored.source not in sources_of(settings.integration_id):
        return None
    if settings.device_ids and device not in settings.device_ids:
        return None
    if settings.topic_filters:
        topics = {stored.topic, stored.topic.removeprefix(f"{key.organization}/")}
        if not any(matches(_plain(each), topic) for each in settings.topic_filters for topic in topics):
            return None
    return Item(MESSAGE, "", device, found)


def _plain(filter: str) -> str:
    """A shared subscription's own filter."""
    return filter.split("/", 2)[2] if filter.startswith("$share/") else filter


def _about(recorded: Recorded) -> tuple[str, str | None, str | None]:
    """Kind, device and integration of an event."""
    event: Any = recorded.event
    if isinstance(event, ActivityRecorded):
        named, _, id = (event.subject or "").partition(":")
        return event.kind, event.device_id, id if named == "integration" else None
    return event.type, event.device_id, event.integration_id


def _fits(settings: WebhookSettings, device: str | None, integration: str | None) -> bool:
    if settings.device_ids and device not in settings.device_ids:
        return False
    return settings.integration_id is None or settings.integration_id == integration


def body(source: Source, found: Sequence[Found]) -> bytes:
    """Of a call with these messages, or with this one event."""
    if source == "MESSAGES":
        stored = [(each, _stored(each)) for each in found]
        told = {"messages": [_told(each, message) for each, message in stored]}
        return _encode({"type": MESSAGE, "timestamp": stored[-1][1].received, "data": told})
    [only] = found
    recorded = upcasts.decode(only.headers, only.data, subject=only.subject, sequence=only.sequence)
    assert recorded is not None
    event: Any = recorded.event
    said = event.model_dump(mode="json")
    if source == "ALERTS":
        _, id = subjects.named_alert(only.subject)
        return _encode(
            {
                "type": event.type,
                "timestamp": recorded.time,
                "data": {"alert_id": id, "actor": recorded.actor, **said},
            }
        )
    about = {"id": recorded.id, "time": recorded.time, "actor": recorded.actor}
    return _encode({"type": event.kind, "timestamp": recorded.time, "data": {**about, **said}})


def _told(found: Found, stored: StoredMessage) -> dict[str, Any]:
    try:
        payload, encoding = stored.payload.decode(), "utf-8"
    except UnicodeDecodeError:
        payload, encoding = base64.b64encode(stored.payload).decode(), "base64"
    return {
        "sequence": found.sequence,
        "received_at": stored.received,
        "device_id": stored.hosted_device or device_of(stored.topic),
        "topic": stored.topic,
        "integration_id": stored.source,
        "qos": stored.qos,
        "retain": stored.retain,
        "payload": payload,
        "encoding": encoding,
    }


def _stored(found: Found) -> StoredMessage:
    stored_at = datetime.fromtimestamp(found.time_ns / 1e9, UTC)
    return messages.stored(found.subject, found.headers, found.data, stored_at)
