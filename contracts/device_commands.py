"""Commands to devices: queued → sent → delivered → answered, or expired, or failed; each one an event.

`sent`: it went out over the connection. `delivered`: the broker has acknowledged it (QoS 1 and 2), which says
that the broker has it, not that a device heard it; only an answer says that.
"""

from __future__ import annotations

import base64
import re
import secrets
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from contracts.calls import Call, Model, Page
from contracts.envelope import Event
from contracts.streams import PAYLOAD_BYTES_MAX
from contracts.telemetry import Query

WAIT_S_MAX = 30
EXPIRES_IN_S_MAX = 24 * 3600  # what is under way is read back at each start: a day of it, not a month
EXPIRES_IN_S = 60
RESPONSES = "responses"  # the channel of a device's answers
CORRELATION_CHARS_MAX = 128
COMMAND_ID = re.compile(r"cmd_[0-9a-f]{20}")

State = Literal["queued", "sent", "delivered", "answered", "expired", "failed"]
ENDED: frozenset[str] = frozenset(("answered", "expired", "failed"))
Base64 = Annotated[str, StringConstraints(max_length=PAYLOAD_BYTES_MAX * 4 // 3 + 4)]
Qos = Literal[0, 1, 2]


def new_command_id(key: str | None) -> str:
    """Random; of an Idempotency-Key (`key`, hashed with its organization) the same each time."""
    return f"cmd_{key[:20] if key else secrets.token_hex(10)}"


# events
class DeviceCommandQueued(Event):
    """Topics are whole, as they are on the broker; `payload` is base64."""

    type = "device-command.queued"
    device_id: str
    integration_id: str
    topic: str
    payload: Base64
    qos: Qos
    retain: bool
    response_topic: str  # where an answer is looked for
    correlation_id: str  # what an answer carries when it says which command it answers
    answer_expected: bool  # without one in time it expires
    expires_in_s: int

    def payload_bytes(self) -> bytes:
        return base64.b64decode(self.payload)

    def expires_at(self, queued_at: datetime) -> datetime:
        return queued_at + timedelta(seconds=self.expires_in_s)


class DeviceCommandSent(Event):
    """Again with a higher `attempt` where it is not known whether the broker had it."""

    type = "device-command.sent"
    attempt: int


class DeviceCommandDelivered(Event):
    """`remark`: what the broker said besides yes, like "No matching subscribers" (MQTT 5)."""

    type = "device-command.delivered"
    remark: str | None = None


class DeviceCommandAnswered(Event):
    """`message` is the answer's sequence in MESSAGES."""

    type = "device-command.answered"
    topic: str
    payload: Base64
    message: int


class DeviceCommandExpired(Event):
    type = "device-command.expired"


class DeviceCommandFailed(Event):
    """It is not tried again; `code` is a failure's."""

    type = "device-command.failed"
    code: str
    detail: str


# queries to telemetry
class ListDeviceCommands(Query):
    device_id: str
    state: State | None = None


class GetDeviceCommand(Model):
    organization: str
    device_id: str
    id: str


class Answer(Model):
    """`payload` is text where it is valid UTF-8, else base64: `encoding` says which."""

    topic: str
    payload: str
    encoding: Literal["utf-8", "base64"]
    message: Annotated[int, Field(description="Its sequence in the log of messages")]


class CommandFailure(Model):
    code: str
    detail: str


class DeviceCommandView(Model):
    """A command as it stands. `remark` is what the broker said besides yes."""

    id: str
    device_id: str
    integration_id: str
    state: State
    topic: str
    payload: str
    encoding: Literal["utf-8", "base64"]
    qos: Qos
    retain: bool
    response_topic: str
    correlation_id: str
    queued_at: datetime
    expires_at: datetime
    attempts: int = 0
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    remark: str | None = None
    ended_at: datetime | None = None
    answer: Answer | None = None
    failure: CommandFailure | None = None
    actor: str


def shown(payload: bytes) -> tuple[str, Literal["utf-8", "base64"]]:
    """Payload and encoding, as views show them."""
    try:
        return payload.decode(), "utf-8"
    except UnicodeDecodeError:
        return base64.b64encode(payload).decode(), "base64"


LIST_DEVICE_COMMANDS = Call(
    "query.telemetry.device-commands", ListDeviceCommands, Page[DeviceCommandView], timeout_s=10.0
)
GET_DEVICE_COMMAND = Call(
    "query.telemetry.device-command", GetDeviceCommand, DeviceCommandView, timeout_s=10.0
)
