"""A message of the log as a server-sent event."""

from __future__ import annotations

import base64
import random
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from contracts import messages
from contracts.decoders import Decoded, Message, Presence, State, UnprocessableWithState
from contracts.decoders.choice import Choice
from contracts.failures import Unprocessable
from contracts.messages import StoredMessage
from contracts.topics import device_of
from runtime.pull import Entry

HEARTBEAT = b": \n\n"
RETRY_MS = (500, 2000)  # with jitter, so that clients of a stopped server do not come back together
_encode = msgspec.json.Encoder().encode
SENDERS_MAX = 200  # whose births one reader remembers
# What telemetry reads and a live stream cannot: by births before it began, by expressions in confined processes.
UNDECODED = frozenset({"decoder.alias_unknown", "decoder.unavailable"})
Choose = Callable[[str, str, int], Choice]
"""(organization, source, time of storing in ns) → the choice that held then."""


def opening() -> bytes:
    """Sent at once, so that proxies and clients see the stream begin."""
    return f"retry: {random.randint(*RETRY_MS)}\n: stream\n\n".encode()


def gap(reason: str, after: int, resumes_at: int) -> bytes:
    """Messages behind `after` may be missing: `trimmed` (too old) or `recreated` (another log)."""
    data = _encode({"reason": reason, "last_event_id": after, "resumes_at": resumes_at})
    return b"event: gap\ndata: " + data + b"\n\n"


class Formatter:
    """Of one reader: it remembers what births teach from the moment at which its stream began."""

    def __init__(self, choose: Choose, device_id: str | None) -> None:
        self._choose, self._device_id = choose, device_id
        self._states: OrderedDict[tuple[str, str], State] = OrderedDict()

    def message(self, entry: Entry) -> bytes:
        """The event, or nothing where a device is asked for and this message says nothing of it."""
        stored_at = datetime.fromtimestamp(entry.time_ns / 1e9, UTC)
        stored = messages.stored(entry.subject, entry.headers, entry.data, stored_at)
        read = self._read(stored, self._choose(stored.organization, stored.source, entry.time_ns))
        devices = [sample.device_id for sample in read.decoded.samples]
        devices += [presence.device_id for presence in _presences(read.decoded)]
        device = stored.hosted_device or device_of(stored.topic) or (devices[0] if devices else None)
        if self._device_id is not None and self._device_id != device and self._device_id not in devices:
            return b""
        data = _encode(_event(entry, stored, read, device))
        return b"id: %d\nevent: message\ndata: %s\n\n" % (entry.sequence, data)

    def _read(self, stored: StoredMessage, choice: Choice) -> _Read:
        said = Message(
            stored.topic,
            stored.payload,
            stored.received,
            stored.hosted_device,
            choice.prefix,
            http_device=stored.http_device,
        )
        try:
            if choice.stateful is None:
                return _Read(choice.decoder.decode(said, choice.settings))
            return _Read(self._decoded_with_state(stored, said, choice))
        except Unprocessable as failure:
            if failure.code in UNDECODED:  # no dead letter: only not known or not done here
                return _Read(Decoded(), undecoded=failure.code)
            return _Read(Decoded(), failure=failure.code)

    def _decoded_with_state(self, stored: StoredMessage, said: Message, choice: Choice) -> Decoded:
        assert choice.stateful is not None
        sender = choice.stateful.state_key(stored.topic)
        if sender is None:
            return choice.decoder.decode(said, choice.settings)
        key = (stored.source, sender)
        learnt = None
        try:
            decoded = choice.decoder.decode(said._replace(state=self._states.get(key)), choice.settings)
            learnt = decoded.state
        except UnprocessableWithState as failure:
            learnt = failure.state
            raise
        finally:
            if learnt is not None:
                self._states[key] = learnt
                self._states.move_to_end(key)
                if len(self._states) > SENDERS_MAX:
                    self._states.popitem(last=False)
        return decoded


class _Read(NamedTuple):
    decoded: Decoded
    failure: str | None = None
    undecoded: str | None = None


def _presences(decoded: Decoded) -> list[Presence]:
    return decoded.presences if decoded.presence is None else [decoded.presence, *decoded.presences]


def _event(entry: Entry, stored: StoredMessage, read: _Read, device: str | None) -> dict[str, Any]:
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
            for sample in read.decoded.samples
        ],
    }
    presences = _presences(read.decoded)
    if presences:
        event["presence"] = {"device_id": presences[0].device_id, "online": presences[0].online}
    if len(presences) > 1:  # a node that takes its devices along
        event["presences"] = [{"device_id": one.device_id, "online": one.online} for one in presences]
    if read.failure is not None:
        event["failure"] = read.failure
    if read.undecoded is not None:
        event["undecoded"] = read.undecoded
    return event
