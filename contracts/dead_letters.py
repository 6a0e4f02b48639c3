"""A dead letter: a message that could not be decoded, untouched, with the reason beside it in headers."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

from contracts.envelope import ID, SOURCE, TIME
from contracts.messages import TOPIC

REASON, DETAIL, DECODER = "hmq-reason", "hmq-detail", "hmq-decoder"
ORIGIN_SUBJECT, ORIGIN_SEQUENCE = "hmq-origin-subject", "hmq-origin-sequence"
ORIGIN_STREAM = "hmq-origin-created"
ORIGIN_TIME = "hmq-origin-time"  # when the log stored the original, in nanoseconds; older letters have none
DETAIL_CHARS_MAX = 500
_SAFE = "/$+#:;,.@=&!()[]{}<>|~*'\"^`?\\-_ "  # what a header line holds as it is; the rest is percent-encoded


def headers(
    *,
    stream_created: str,
    sequence: int,
    subject: str,
    source: str,
    topic: str,
    received: datetime,
    stored_ns: int,
    decoder: str,
    reason: str,
    detail: str,
) -> dict[str, str]:
    """`stream_created` and `sequence` name the original for ever; they make the id."""
    return {
        ID: f"{stream_created}-{sequence}",
        SOURCE: source,
        TIME: received.isoformat(),
        TOPIC: quote(topic, safe=_SAFE),
        REASON: reason,
        DETAIL: quote(detail[:DETAIL_CHARS_MAX], safe=_SAFE, errors="replace"),
        DECODER: decoder,
        ORIGIN_SUBJECT: subject,
        ORIGIN_SEQUENCE: str(sequence),
        ORIGIN_STREAM: stream_created,
        ORIGIN_TIME: str(stored_ns),
    }
