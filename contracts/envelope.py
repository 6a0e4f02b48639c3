"""The envelope of an event: CloudEvents names in NATS headers, the event's body as JSON.

Headers: `ce-id` (UUIDv7), `ce-type` (`credential.issued.v1`), `ce-source` (service), `ce-time` (RFC 3339),
`hmq-actor` (who caused it), `hmq-command` (the command's id, for idempotence), `traceparent` (W3C).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from contracts.failures import Unprocessable

ID, TYPE, SOURCE, TIME = "ce-id", "ce-type", "ce-source", "ce-time"
ACTOR, COMMAND, TRACEPARENT = "hmq-actor", "hmq-command", "traceparent"

Body = dict[str, Any]
Upcast = Callable[[Body], Body]


class Event(BaseModel):
    """A fact, in the past tense. Subclasses set `type` and `version` and are registered by `EVENTS`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True
    )  # a third of a service's start, otherwise
    type: ClassVar[str]
    version: ClassVar[int] = 1

    @classmethod
    def versioned_type(cls) -> str:
        return f"{cls.type}.v{cls.version}"


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as it stands in the log."""

    event: Event
    id: str
    time: datetime
    actor: str
    subject: str
    sequence: int  # in the stream; 0 before it is appended
    command_id: str | None = None
    traceparent: str | None = None  # of what brought it about


@dataclass(frozen=True, slots=True)
class Cause:
    """Who and what brought an event about."""

    actor: str
    source: str
    command_id: str | None = None


def encode(event: Event, *, id: str, time: datetime, cause: Cause) -> tuple[dict[str, str], bytes]:
    """Headers and body of an event to be appended."""
    headers = {
        ID: id,
        TYPE: event.versioned_type(),
        SOURCE: cause.source,
        TIME: time.isoformat(),
        ACTOR: cause.actor,
    }
    if cause.command_id:
        headers[COMMAND] = cause.command_id
    return headers, event.model_dump_json().encode()


def decode(
    headers: Mapping[str, str],
    data: bytes,
    events: Mapping[str, type[Event]],
    upcasts: Mapping[str, tuple[str, Upcast]],
    *,
    subject: str = "",
    sequence: int = 0,
) -> Recorded | None:
    """The event in its latest shape, or None where its type is unknown here (a newer service wrote it).

    Raises Unprocessable("event.unreadable") when a known type does not fit its model.
    """
    body: Body | None = None
    kind = headers.get(TYPE, "")
    while kind in upcasts:
        kind, step = upcasts[kind]
        body = step(from_json(data) if body is None else body)
    model = events.get(kind)
    if model is None:
        return None
    try:
        event = model.model_validate_json(data) if body is None else model.model_validate(body)
        return Recorded(
            event=event,
            id=headers[ID],
            time=datetime.fromisoformat(headers[TIME]),
            actor=headers.get(ACTOR, ""),
            subject=subject,
            sequence=sequence,
            command_id=headers.get(COMMAND),
            traceparent=headers.get(TRACEPARENT),
        )
    except (ValidationError, KeyError, ValueError) as error:
        raise Unprocessable("event.unreadable", f"{kind} at {subject}#{sequence}: {error}") from error
