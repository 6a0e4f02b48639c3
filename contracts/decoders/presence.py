"""What `…/status`, `…/lwt` and `…/last-will` say, in JSON or as a bare word."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from contracts.decoders.addressing import Address, device_in
from contracts.decoders.json_text import parse
from contracts.decoders.limits import INT_MAX, STATUS_CHARS_MAX
from contracts.decoders.model import Message, Presence
from contracts.decoders.times import device_time
from contracts.failures import Unprocessable

OFFLINE_WORDS = frozenset({"offline", "disconnected", "down", "dead", "lost", "off", "false", "0"})
_TIMES = ("timestamp", "ts", "time")


def presence(message: Message, where: Address, content: Any = None) -> Presence:
    """`lwt` and `last-will` mean offline, whatever they carry. A `status` is what its word says.

    A word that means neither is kept, and the device online: it just spoke. `content` is the payload, where
    it was read already; else it is JSON or the bare word.
    """
    if content is None:
        with suppress(Unprocessable):
            content = parse(message.payload)
    fields = content if type(content) is dict else {}
    device = where.device or device_in(fields, where)
    moment, flags = device_time(next(filter(None, map(fields.get, _TIMES)), None), message.received)
    channel = where.last
    if channel != "status":
        return Presence(device, False, channel, moment, flags)
    word = _word(content, message.payload)
    return Presence(device, word.lower() not in OFFLINE_WORDS, channel, moment, flags, word)


def _word(content: Any, payload: bytes) -> str:
    if type(content) is dict:
        content = content.get("status")
    elif content is None:
        content = _bare(payload)
    if type(content) is bool or type(content) is int:
        content = str(content).lower() if abs(content) <= INT_MAX else None
    if type(content) is not str:
        raise Unprocessable("payload.unsupported", 'a status is {"status": "online"} or the bare word')
    if not content:
        raise Unprocessable("payload.empty", "the status is empty")
    if len(content) > STATUS_CHARS_MAX or not content.isprintable():
        raise Unprocessable(
            "payload.unsupported", f"a status is a word of at most {STATUS_CHARS_MAX} characters"
        )
    return content


def _bare(payload: bytes) -> str:
    """What is no JSON, as a word; half of a JSON text is none, for `{"status":"offl` must not mean online."""
    try:
        word = payload.decode().strip()
    except UnicodeDecodeError:
        raise Unprocessable("payload.not_text", "a status is UTF-8") from None
    if word.startswith(("{", "[", '"')):
        raise Unprocessable("payload.not_json", "a status that begins as JSON is not valid JSON")
    return word
