"""Reads what is posted to /v1/ingest. The bytes of `payload` come through as they were sent."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

import msgspec

from contracts.acl import may_publish
from contracts.failures import Refused
from contracts.organizations import Principal
from services.gateway.payloads import check_size, from_base64
from services.gateway.problems import FieldError, Invalid
from services.gateway.settings import LINES_MAX
from services.gateway.topic_space import whole

ID_CHARS_MAX = 128
_FIELD = re.compile(r"`\$\.([^`]+)`")
_NAMED = re.compile(r"field `([^`]+)`")


class IngestMessage(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """`payload` is any JSON value and is stored byte for byte; `payload_base64` carries what is no JSON."""

    topic: str
    payload: msgspec.Raw = msgspec.Raw()
    payload_base64: str | None = None
    qos: Literal[0, 1, 2] = 1
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=ID_CHARS_MAX)] | None = None


class Message(NamedTuple):
    """What is to be stored."""

    topic: str  # whole
    payload: bytes
    qos: int
    id: str | None  # the sender's own: the same one again is the same message


_decode = msgspec.json.Decoder(IngestMessage).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def read(body: bytes, caller: Principal, *, is_device: bool) -> Message:
    """One message. Refused with the code and the field that is at fault."""
    sent = _parsed(body)
    raw = bytes(sent.payload)
    if bool(raw) == (sent.payload_base64 is not None):
        raise Invalid([FieldError(field="payload", detail="send `payload` or `payload_base64`")])
    payload = check_size(raw or from_base64(sent.payload_base64 or ""))
    topic = whole(sent.topic, caller.organization)
    if is_device and not may_publish(caller.publish, topic):
        raise Refused("topic.forbidden", "the credential's filters do not cover this topic", field="topic")
    return Message(topic, payload, sent.qos, sent.id)


def lines(body: bytes) -> list[tuple[int, bytes]]:
    """The non-empty lines of an NDJSON body with their numbers, from 1."""
    found = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    if not found:
        raise Invalid([FieldError(field="", detail="the body holds no line")])
    if len(found) > LINES_MAX:
        raise Refused("request.too_large", f"{len(found)} lines, at most {LINES_MAX} are taken at once")
    return found


def members(body: bytes) -> list[tuple[int, bytes]]:
    """The members of a JSON array with their numbers, from 1."""
    try:
        found = _decode_array(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused("request.malformed", f"this is not valid JSON: {error}") from error
    if not found:
        raise Invalid([FieldError(field="", detail="the array is empty")])
    if len(found) > LINES_MAX:
        raise Refused("request.too_large", f"{len(found)} messages, at most {LINES_MAX} are taken at once")
    return [(number, bytes(member)) for number, member in enumerate(found, 1)]


def _require_json(body: bytes) -> None:
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused("request.malformed", f"this is not valid JSON: {error}") from error


def _parsed(body: bytes) -> IngestMessage:
    try:
        body.decode()  # msgspec does not look inside what it passes through
        return _decode(body)
    except msgspec.ValidationError as error:
        _require_json(body)  # what is no JSON behind the first wrong field is no JSON all the same
        words = str(error)
        found = _FIELD.search(words) or _NAMED.search(words)
        field = found.group(1) if found else ""
        raise Invalid([FieldError(field=field, detail=words.partition(" - at ")[0])]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("request.malformed", f"this is not valid JSON: {error}") from error
