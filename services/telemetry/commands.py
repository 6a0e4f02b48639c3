"""What is stored of COMMANDS: one row a command, as it stands."""

from __future__ import annotations

import base64
from typing import Any

from contracts import subjects
from contracts.device_commands import (
    DeviceCommandAnswered,
    DeviceCommandDelivered,
    DeviceCommandExpired,
    DeviceCommandFailed,
    DeviceCommandQueued,
    DeviceCommandSent,
)
from contracts.envelope import Event, Recorded
from contracts.streams import COMMANDS
from services.telemetry.entities import Entities

_QUEUED = """
INSERT INTO device_commands (organization, id, queued_at, actor, device_id, integration_id, topic, payload, qos,
    retain, response_topic, correlation_id, expires_at, state)
SELECT *, 'queued' FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::text[],
    $7::text[], $8::bytea[], $9::smallint[], $10::boolean[], $11::text[], $12::text[], $13::timestamptz[])
ON CONFLICT DO NOTHING
"""
_SAID = (
    "UPDATE device_commands held SET {changes} FROM unnest($1::int[], $2::text[], $3::timestamptz[]{types})"
)
_OF = " WHERE held.organization = said.organization AND held.id = said.id AND held.ended_at IS NULL"


def _update(changes: str, *more: tuple[str, str]) -> str:
    """Of commands that have not ended; `more` are columns (name, type) beside organization, id and at."""
    types = "".join(f", ${number}::{kind}[]" for number, (_, kind) in enumerate(more, 4))
    names = "".join(f", {name}" for name, _ in more)
    return _SAID.format(changes=changes, types=types) + f" AS said (organization, id, at{names})" + _OF


# A batch may hold several attempts of one command.
_SENT = """
UPDATE device_commands held
SET state = CASE held.state WHEN 'delivered' THEN held.state ELSE 'sent' END,
    sent_at = coalesce(held.sent_at, said.at), attempts = greatest(held.attempts, said.attempt)
FROM (SELECT organization, id, min(at) AS at, max(attempt) AS attempt
    FROM unnest($1::int[], $2::text[], $3::timestamptz[], $4::int[]) AS each (organization, id, at, attempt)
    GROUP BY organization, id) said
WHERE held.organization = said.organization AND held.id = said.id AND held.ended_at IS NULL
"""
_DELIVERED = _update(
    "state = 'delivered', delivered_at = coalesce(held.delivered_at, said.at), remark = said.remark",
    ("remark", "text"),
)
_ANSWERED = _update(
    "state = 'answered', ended_at = said.at, answer_topic = said.topic, answer = said.payload,"
    " answer_message = said.message",
    ("topic", "text"),
    ("payload", "bytea"),
    ("message", "bigint"),
)
_EXPIRED = _update("state = 'expired', ended_at = said.at")
_FAILED = _update(
    "state = 'failed', ended_at = said.at, failure_code = said.code, failure_detail = said.detail",
    ("code", "text"),
    ("detail", "text"),
)
_KNOWN = """
SELECT EXISTS (SELECT FROM device_commands held JOIN organizations o ON o.id = held.organization
    WHERE o.name = $1 AND held.id = $2 AND held.queued_at = $3)
"""
_FORGET = """
DELETE FROM device_commands WHERE (organization, id) IN (SELECT organization, id FROM device_commands
    WHERE queued_at < now() - make_interval(days => $1) ORDER BY queued_at LIMIT $2)
"""


def _values(recorded: Recorded) -> tuple[Any, ...]:
    """What an event's statement takes, beside organization, id and time."""
    match recorded.event:
        case DeviceCommandQueued() as queued:
            return (
                recorded.actor,
                queued.device_id,
                queued.integration_id,
                queued.topic,
                queued.payload_bytes(),
                queued.qos,
                queued.retain,
                queued.response_topic,
                queued.correlation_id,
                queued.expires_at(recorded.time),
            )
        case DeviceCommandSent(attempt=attempt):
            return (attempt,)
        case DeviceCommandDelivered(remark=remark):
            return (remark,)
        case DeviceCommandAnswered(topic=topic, payload=payload, message=message):
            return topic, base64.b64decode(payload), message
        case DeviceCommandFailed(code=code, detail=detail):
            return code, detail
    return ()


def _device(event: Event) -> str | None:
    return event.device_id if isinstance(event, DeviceCommandQueued) else None


COMMANDS_READ = Entities(
    name="commands",
    stream=COMMANDS.name,
    subjects=subjects.COMMANDS_ALL,
    named=subjects.named_command,
    statements=(
        (DeviceCommandQueued, _QUEUED),
        (DeviceCommandSent, _SENT),
        (DeviceCommandDelivered, _DELIVERED),
        (DeviceCommandAnswered, _ANSWERED),
        (DeviceCommandExpired, _EXPIRED),
        (DeviceCommandFailed, _FAILED),
    ),
    values=_values,
    device=_device,
    known=_KNOWN,
    forget=_FORGET,
)
