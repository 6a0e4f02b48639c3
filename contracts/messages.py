"""A device message as the MESSAGES log keeps it: payload bytes untouched, everything else beside them.

Hosted messages carry their topic in the subject (the server's own source wrote them: no code of ours on the
way); all others carry it in headers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from contracts.envelope import ID, SOURCE, TIME, TRACEPARENT
from contracts.subjects import HOSTED, HTTP
from contracts.topics import device_of, from_subject

TOPIC, QOS, RETAIN, DUP, MID = "mqtt-topic", "mqtt-qos", "mqtt-retain", "mqtt-dup", "mqtt-mid"
CORRELATION = "mqtt-correlation"  # Correlation Data (MQTT 5), where it is a text that may be ours
REQUEST = (
    "hmq-request"  # of a request with an Idempotency-Key, its first message: a digest of all, and its line
)
NATS_MQTT_PUBLISH = "Nmqtt-Pub"  # the server's own header; its first character is the QoS
_SAFE = "/$+#:;,.@=&!()[]{}<>|~*'\"^`?\\-_ "  # what a header line holds as it is; the rest is percent-encoded


class StoredMessage(NamedTuple):
    organization: str
    source: str  # `hosted`, `http` or an integration id
    topic: str
    qos: int
    retain: bool  # of hosted messages not known
    received: datetime
    payload: bytes
    hosted_device: str | None  # on the hosted broker the device is what the topic says
    traceparent: str | None

    @property
    def http_device(self) -> str | None:
        """By HTTP, the device that the topic names."""
        return device_of(self.topic) if self.source == HTTP else None


def headers(
    *,
    id: str,
    topic: str,
    qos: int,
    retain: bool,
    received: datetime,
    source: str,
    traceparent: str | None = None,
) -> dict[str, str]:
    """Headers of a message that ingest or the gateway writes."""
    made = {
        ID: id,
        SOURCE: source,
        TIME: received.isoformat(),
        TOPIC: quote(topic, safe=_SAFE),
        QOS: str(qos),
    }
    if retain:
        made[RETAIN] = "1"
    if traceparent:
        made[TRACEPARENT] = traceparent
    return made


class HostedAddress(NamedTuple):
    organization: str
    topic: str
    device: str


@lru_cache(maxsize=32_768)  # subjects repeat: a fleet's fit, and memory stays below some 20 MB
def hosted_address(subject: str) -> HostedAddress:
    """What the subject of a hosted message says."""
    _, _, organization, _, path = subject.split(".", 4)
    device = path.partition(".")[0]
    return HostedAddress(organization, f"{organization}/devices/{from_subject(path)}", from_subject(device))


def stored(
    subject: str, held: Mapping[str, str] | None, payload: bytes, stored_at: datetime
) -> StoredMessage:
    """The message that stands in the log at this subject; `stored_at` is the stream's own time."""
    held = held or {}
    parts = subject.split(".", 4)
    organization, source = parts[2], parts[3]
    if source == HOSTED:
        address = hosted_address(subject)
        return StoredMessage(
            organization=organization,
            source=source,
            topic=address.topic,
            qos=int(held.get(NATS_MQTT_PUBLISH, "0")[0]),
            retain=False,  # nats-server keeps the flag to itself: a retained copy stands in its own store
            received=stored_at,
            payload=payload,
            hosted_device=address.device,
            traceparent=held.get(TRACEPARENT),  # of MQTT 5 only
        )
    return StoredMessage(
        organization=organization,
        source=source,
        topic=unquote(held[TOPIC]),
        qos=int(held.get(QOS, "0")),
        retain=held.get(RETAIN) == "1",
        received=datetime.fromisoformat(held[TIME]),
        payload=payload,
        hosted_device=None,
        traceparent=held.get(TRACEPARENT),
    )
