"""What a command to a device is, folded from its events, and what may happen to it. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from pydantic_core import from_json

from contracts.device_commands import (
    ENDED,
    Answer,
    CommandFailure,
    DeviceCommandAnswered,
    DeviceCommandDelivered,
    DeviceCommandExpired,
    DeviceCommandFailed,
    DeviceCommandQueued,
    DeviceCommandSent,
    DeviceCommandView,
    State,
    shown,
)
from contracts.envelope import Event, Recorded

Step = Literal["send", "wait", "expire", "none"]


@dataclass(frozen=True, slots=True)
class DeviceCommand:
    queued: DeviceCommandQueued
    queued_at: datetime
    actor: str
    state: State = "queued"
    attempts: int = 0
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    remark: str | None = None
    ended_at: datetime | None = None
    answer: DeviceCommandAnswered | None = None
    failure: DeviceCommandFailed | None = None

    @property
    def expires_at(self) -> datetime:
        return self.queued.expires_at(self.queued_at)

    @property
    def ended(self) -> bool:
        return self.state in ENDED


def evolve(held: DeviceCommand | None, recorded: Recorded) -> DeviceCommand | None:
    """None where its beginning is not known (any more)."""
    event, at = recorded.event, recorded.time
    if isinstance(event, DeviceCommandQueued):
        return DeviceCommand(event, at, recorded.actor)
    if held is None:
        return None
    match event:
        case DeviceCommandSent(attempt=attempt):
            return replace(held, state="sent", attempts=attempt, sent_at=held.sent_at or at)
        case DeviceCommandDelivered(remark=remark):
            return replace(held, state="delivered", delivered_at=at, remark=remark)
        case DeviceCommandAnswered():
            return replace(held, state="answered", ended_at=at, answer=event)
        case DeviceCommandExpired():
            return replace(held, state="expired", ended_at=at)
        case DeviceCommandFailed():
            return replace(held, state="failed", ended_at=at, failure=event)
    return held


def fold(events: Iterable[Recorded]) -> DeviceCommand | None:
    held = None
    for recorded in events:
        held = evolve(held, recorded)
    return held


# what happens to a command, beside time
@dataclass(frozen=True, slots=True)
class Left:
    """It went out over the connection."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class Declined:
    """It cannot be sent, now or later."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that answers it, which the log stored `at`."""

    topic: str
    payload: bytes
    message: int
    at: datetime


@dataclass(frozen=True, slots=True)
class TimePassed:
    pass


Happening = Left | Acknowledged | Declined | Heard | TimePassed


def decide(happening: Happening, held: DeviceCommand, now: datetime) -> list[Event]:
    """What is news of it; nothing once it has ended."""
    if held.ended:
        return []
    match happening:
        case Left() if held.state in ("queued", "sent"):
            return [DeviceCommandSent(attempt=held.attempts + 1)]
        case Acknowledged(remark=remark) if held.state in ("queued", "sent"):
            return [DeviceCommandDelivered(remark=remark)]
        case Declined(code=code, detail=detail) if held.state in ("queued", "sent"):
            return [DeviceCommandFailed(code=code, detail=detail)]
        case Heard() if happening.at <= held.expires_at:
            payload = base64.b64encode(happening.payload).decode()
            return [DeviceCommandAnswered(topic=happening.topic, payload=payload, message=happening.message)]
        case TimePassed() if step(held, now) == "expire":
            return [DeviceCommandExpired()]
    return []


def step(held: DeviceCommand, now: datetime) -> Step:
    """What is to be done with it next. One that is too late is never sent."""
    if held.ended:
        return "none"
    unacknowledged = held.state == "queued" or (held.state == "sent" and held.queued.qos > 0)
    if now >= held.expires_at:
        return "expire" if unacknowledged or held.queued.answer_expected else "none"
    return "send" if unacknowledged else "wait"


def answers(
    payload: bytes, waiting: Iterable[tuple[str, DeviceCommand]], said: str | None = None
) -> str | None:
    """Which of the commands (id, state) that wait on a topic this message on it answers; the oldest first.

    A topic that ends in a command's id is its own. On a shared one the message's Correlation Data (`said`), or a
    JSON object's `correlation_id`, says which; without one it is the command that waits longest.
    """
    waiting = list(waiting)
    for id, held in waiting:
        if held.queued.response_topic.endswith(f"/{id}"):
            return id
    said = said or correlation_of(payload)
    for id, held in waiting:
        if said is None or said == held.queued.correlation_id:
            return id
    return None


def correlation_of(payload: bytes) -> str | None:
    """The `correlation_id` of a JSON object: a text or an integer."""
    if b'"correlation_id"' not in payload:
        return None
    try:
        content = from_json(payload)
    except ValueError:
        return None
    value = content.get("correlation_id") if isinstance(content, dict) else None
    return str(value) if type(value) in (str, int) else None


def view(id: str, held: DeviceCommand) -> DeviceCommandView:
    queued = held.queued
    payload, encoding = shown(queued.payload_bytes())
    answer = failure = None
    if held.answer is not None:
        said, form = shown(base64.b64decode(held.answer.payload))
        answer = Answer(topic=held.answer.topic, payload=said, encoding=form, message=held.answer.message)
    if held.failure is not None:
        failure = CommandFailure(code=held.failure.code, detail=held.failure.detail)
    return DeviceCommandView(
        id=id,
        device_id=queued.device_id,
        integration_id=queued.integration_id,
        state=held.state,
        topic=queued.topic,
        payload=payload,
        encoding=encoding,
        qos=queued.qos,
        retain=queued.retain,
        response_topic=queued.response_topic,
        correlation_id=queued.correlation_id,
        queued_at=held.queued_at,
        expires_at=held.expires_at,
        attempts=held.attempts,
        sent_at=held.sent_at,
        delivered_at=held.delivered_at,
        remark=held.remark,
        ended_at=held.ended_at,
        answer=answer,
        failure=failure,
        actor=held.actor,
    )
