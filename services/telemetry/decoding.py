"""From entries of MESSAGES to what is stored of them: pure, and the costliest loop of the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from contracts.decoders import Decoded, Message, Presence, Sample, UnprocessableWithState
from contracts.decoders.choice import Choice, Origin
from contracts.decoders.limits import DEVICE_CHARS_MAX
from contracts.failures import Unprocessable
from contracts.messages import NATS_MQTT_PUBLISH, StoredMessage, hosted_address, stored
from contracts.subjects import HOSTED
from contracts.topics import device_of
from runtime.observe import LINKS_MAX, log
from runtime.pull import Entry
from services.telemetry.states import Learnt, States, sender_of

_log = log(part="decoding")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PUBLISH = f"{NATS_MQTT_PUBLISH}:".encode()
_HOSTED = f".{HOSTED}."  # the source is the last token of every other subject
_new = tuple.__new__  # a third of the cost of calling a NamedTuple
EXACT_MAX = 2**53  # beyond, a double does not hold every integer


Choose = Callable[[str, str, int], Choice]
"""(organization, source, time of storing in ns) → the choice that held then."""
Read = Decoded | Unprocessable
"""What a message says, or why it is a dead letter."""
_NOTHING_AHEAD: Mapping[int, Read] = {}


class SampleRow(NamedTuple):
    time: datetime
    sequence: int
    organization: str
    device: str
    position: int
    flags: int
    source: str
    topic: str
    metrics: tuple[str, ...]
    numbers: list[float | None]
    others: dict[int, bool | str | int] | None  # by position in `metrics`
    units: dict[int, str] | None
    retained: bool  # a copy that the broker kept: no new reading when it is known already
    origin: Origin  # the decoder that made it


class MessageRow(NamedTuple):
    received: datetime
    sequence: int
    organization: str
    device: str | None
    qos: int
    retain: bool
    source: str
    topic: str
    payload: bytes
    failure: str | None


class Failed(NamedTuple):
    """A dead letter to be."""

    entry: Entry
    row: MessageRow
    decoder: str
    detail: str


class Batch:
    """What a run of entries comes to."""

    __slots__ = ("erased", "failed", "heard", "learnt", "links", "messages", "presences", "samples")

    def __init__(self) -> None:
        self.messages: list[MessageRow] = []
        self.samples: list[SampleRow] = []
        self.presences: list[tuple[str, datetime, Presence]] = []  # organization, when it came
        self.heard: dict[tuple[str, str], datetime] = {}  # devices in samples that name no row of theirs
        self.failed: list[Failed] = []
        self.erased: set[str] = set()  # organizations of messages that were left out
        self.learnt: list[Learnt] = []
        self.links: list[str] = []

    def said(self, organization: str, received: datetime, decoded: Decoded) -> None:
        if decoded.presence is not None:
            self.presences.append((organization, received, decoded.presence))
        self.presences += [(organization, received, presence) for presence in decoded.presences]


def project(
    entries: Sequence[Entry],
    choose: Choose,
    into: Batch,
    ahead: Mapping[int, Read] = _NOTHING_AHEAD,
    states: States | None = None,
) -> None:
    """Adds to `into` what these entries say; never raises: what cannot be read is a failure of its own.

    `ahead` has, by sequence, what was decoded elsewhere already. `states` has those of all stateful decoders'
    senders that occur; it learns on.
    """
    add_message = into.messages.append
    for entry in entries:
        received = _EPOCH + timedelta(0, 0, entry.time_ns // 1000)
        try:
            message = _message(entry, received)
        except Exception as error:  # noqa: BLE001  # written by something that is not ours
            _fail(into, entry, _unreadable(entry, received), "none", "event.unreadable", repr(error))
            continue
        if message.traceparent is not None and len(into.links) < LINKS_MAX:
            into.links.append(message.traceparent)
        choice = choose(message.organization, message.source, entry.time_ns)
        if len(message.payload) > choice.payload_bytes_max:  # no broker refuses it
            detail = (
                f"a payload has at most {choice.payload_bytes_max} bytes, this has {len(message.payload)}"
            )
            _fail(into, entry, message, "none", "payload.too_large", detail)
            continue
        try:
            if entry.sequence in ahead:
                decoded = _taken(ahead[entry.sequence])
            elif choice.stateful is None:
                decoded = choice.decoder.decode(_asked(message, choice.prefix), choice.settings)
            else:
                decoded = _decoded_with(states, message, choice, entry.sequence, into)
        except Unprocessable as failure:
            _fail(into, entry, message, _named(choice), failure.code, failure.detail)
            continue
        except Exception as error:  # noqa: BLE001  # a defect of the decoder: this message's trouble, nobody else's
            _log.exception("a decoder crashed", decoder=choice.decoder.name, sequence=entry.sequence)
            _fail(into, entry, message, _named(choice), "internal", repr(error))
            continue
        device = message.hosted_device or _device(decoded)
        add_message(_row(message, entry.sequence, device, None))
        if decoded.presence is not None or decoded.presences:
            into.said(message.organization, received, decoded)
        _add_samples(into, message, entry.sequence, device, decoded.samples, choice.origin)


def _add_samples(
    into: Batch,
    message: StoredMessage,
    sequence: int,
    device: str | None,
    samples: Sequence[Sample],
    origin: Origin,
) -> None:
    for position, sample in enumerate(samples):
        if sample.device_id != device:
            into.heard[message.organization, sample.device_id] = message.received
        if sample.readings:
            into.samples.append(_sample(message, sequence, position, sample, origin))


def is_hosted(subject: str) -> bool:
    return _HOSTED in subject


def stored_message(entry: Entry) -> StoredMessage:
    """Raises whatever it likes for an envelope that is not ours."""
    return _message(entry, _EPOCH + timedelta(0, 0, entry.time_ns // 1000))


def _asked(message: StoredMessage, prefix: str | None) -> Message:
    _, _, topic, _, _, received, payload, hosted_device, _ = message
    return _new(Message, (topic, payload, received, hosted_device, prefix, None, message.http_device))


def _decoded_with(
    states: States | None, message: StoredMessage, choice: Choice, sequence: int, into: Batch
) -> Decoded:
    """By what is known of the sender; what the message teaches is kept, also where it is a dead letter."""
    asked = _asked(message, choice.prefix)
    sender = sender_of(choice, message.organization, message.source, message.topic)
    if states is None or sender is None:
        return choice.decoder.decode(asked, choice.settings)
    assert choice.stateful is not None
    before = states.at(sender, sequence)
    learnt = None
    try:
        decoded = choice.decoder.decode(asked._replace(state=before), choice.settings)
        learnt = decoded.state
    except UnprocessableWithState as failure:
        learnt = failure.state
        raise
    finally:
        if learnt is not None and learnt != before:
            states.put(sender, sequence, learnt)
            into.learnt.append(Learnt(sender, sequence, message.received, before, learnt, choice.stateful))
    return decoded


def _taken(read: Read) -> Decoded:
    if isinstance(read, Unprocessable):
        raise read
    return read


def _message(entry: Entry, received: datetime) -> StoredMessage:
    subject = entry.subject
    if is_hosted(subject):
        address = hosted_address(subject)
        raw = entry.raw_headers
        at = raw.find(_PUBLISH)
        qos = int(raw[at + len(_PUBLISH) :].lstrip()[:1]) if at >= 0 else 0
        return StoredMessage(
            address.organization,
            HOSTED,
            address.topic,
            qos,
            False,
            received,
            entry.data,
            address.device,
            None,
        )
    return stored(subject, entry.headers, entry.data, received)


def _unreadable(entry: Entry, received: datetime) -> StoredMessage:
    tokens = [*entry.subject.split("."), "", "", "", ""]
    return StoredMessage(
        tokens[2] or "platform",
        tokens[3] or "unknown",
        entry.subject,
        0,
        False,
        received,
        entry.data,
        None,
        None,
    )


def _row(message: StoredMessage, sequence: int, device: str | None, failure: str | None) -> MessageRow:
    organization, source, topic, qos, retain, received, payload, _, _ = message
    return _new(
        MessageRow,
        (received, sequence, organization, device, qos, retain, source, topic, payload, failure),
    )


def _sample(message: StoredMessage, sequence: int, position: int, sample: Any, origin: Origin) -> SampleRow:
    names: list[str] = []
    numbers: list[float | None] = []
    others: dict[int, bool | str | int] | None = None
    units: dict[int, str] | None = None
    for metric, value, unit in sample.readings:
        kind = type(value)
        if kind is float or (kind is int and -EXACT_MAX <= value <= EXACT_MAX):
            numbers.append(value)
        else:
            others = others or {}
            others[len(names)] = value
            numbers.append(float(value) if kind is int else None)
        if unit is not None:
            units = units or {}
            units[len(names)] = unit
        names.append(metric)
    return _new(
        SampleRow,
        (
            sample.time,
            sequence,
            message.organization,
            sample.device_id,
            position,
            sample.flags,
            message.source,
            message.topic,
            tuple(names),
            numbers,
            others,
            units,
            message.retain,
            origin,
        ),
    )


def _device(decoded: Decoded) -> str | None:
    if decoded.samples:
        return decoded.samples[0].device_id
    if decoded.presence is not None:
        return decoded.presence.device_id
    return decoded.presences[0].device_id if decoded.presences else None


def _named(choice: Choice) -> str:
    return f"{choice.decoder.name}@{choice.decoder.version}"


def _fail(into: Batch, entry: Entry, message: StoredMessage, decoder: str, reason: str, detail: str) -> None:
    device = message.hosted_device or device_of(message.topic)
    if device is not None and not (0 < len(device) <= DEVICE_CHARS_MAX and device.isprintable()):
        device = None
    row = _row(message, entry.sequence, device, reason)
    into.messages.append(row)
    into.failed.append(Failed(entry, row, decoder, detail))


def unstorable(entry: Entry, why: str, into: Batch) -> None:
    """What the database refused as it was: its payload is kept, and everything else made harmless."""
    received = _EPOCH + timedelta(0, 0, entry.time_ns // 1000)
    message = _unreadable(entry, received)
    topic = message.topic.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    _fail(into, entry, message._replace(topic=topic), "none", "value.invalid", why)
