"""The events that an entry of a log makes for a selection; pure."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from contracts import upcasts
from contracts.activity import ActivityRecorded
from contracts.activity_kinds import direction_of
from contracts.alerts import AlertEvent
from contracts.decoders import Sample
from contracts.envelope import Recorded
from contracts.failures import Unprocessable
from contracts.telemetry import ActivityRow
from runtime.observe import log
from services.gateway.live.logs import MESSAGES, Log, Logged
from services.gateway.live.reading import Read, Reading
from services.gateway.live.selection import Selection

_log = log(part="live")
_encode = msgspec.json.Encoder().encode
PRESENCE = {"device.connected": True, "device.disconnected": False}  # kinds of activity that say so


class Said(NamedTuple):
    """One event: its name, and its data as JSON."""

    event: str
    data: bytes


class Entry:
    """An entry that somebody may want: read once, and each form that does not depend on who asks, made once."""

    def __init__(self, log: Log, entry: Logged, organization: str, reading: Reading) -> None:
        self.sequence = entry.sequence
        self._organization = organization
        self._id = entry.subject.rpartition(".")[2]  # of an alert
        self._read = reading.read(entry) if log is MESSAGES else None
        self._recorded = None if log is MESSAGES else _recorded(entry)
        self._whole: bytes | None = None

    def events(self, selection: Selection) -> list[Said]:
        """In their order; none where nothing of it passes."""
        if self._read is not None:
            return list(self._of_message(self._read, selection))
        if self._recorded is not None:
            return [
                *self._of_activity(self._recorded, selection),
                *self._of_alert(self._recorded, selection),
            ]
        return []

    def _of_message(self, read: Read, wanted: Selection) -> Iterator[Said]:
        if wanted.integrations and read.stored.source not in wanted.integrations:
            return
        if wanted.devices and not wanted.devices & read.devices:
            return
        if not wanted.topic_passes(self._organization, read.stored.topic):
            return
        if "messages" in wanted.kinds and (not wanted.metrics or _has(read.decoded.samples, wanted.metrics)):
            if self._whole is None:
                self._whole = _encode(_message(read))
            yield Said("message", self._whole)
        if "readings" in wanted.kinds and (samples := _narrowed(read.decoded.samples, wanted)):
            yield Said("readings", _encode({**_origin(read), "readings": samples}))
        if "presence" in wanted.kinds:
            for presence in read.presences:
                if not wanted.devices or presence.device_id in wanted.devices:
                    said = {"device_id": presence.device_id, "online": presence.online}
                    why = {"reason": presence.reason, "at": presence.time}
                    yield Said("presence", _encode({"sequence": read.sequence, **said, **why}))

    def _of_activity(self, recorded: Recorded, wanted: Selection) -> Iterator[Said]:
        event = recorded.event
        if not isinstance(event, ActivityRecorded):
            return
        if wanted.devices and event.device_id not in wanted.devices:
            return
        if "activity" in wanted.kinds and (
            not wanted.integrations or event.subject in {f"integration:{id}" for id in wanted.integrations}
        ):
            yield Said("activity", self._activity(recorded, event))
        hosted = not wanted.integrations or "hosted" in wanted.integrations
        if wanted.hears_connections and hosted and event.kind in PRESENCE and event.device_id is not None:
            said = {"device_id": event.device_id, "online": PRESENCE[event.kind]}
            why = {"reason": event.kind.removeprefix("device."), "at": recorded.time}
            yield Said("presence", _encode({"sequence": self.sequence, **said, **why}))

    def _of_alert(self, recorded: Recorded, wanted: Selection) -> Iterator[Said]:
        event = recorded.event
        if "alerts" not in wanted.kinds or not isinstance(event, AlertEvent):
            return
        narrowed = (
            (wanted.devices, event.device_id),
            (wanted.metrics, event.metric),
            (wanted.integrations, event.integration_id),
        )
        if all(not names or name in names for names, name in narrowed):
            if self._whole is None:
                said = {"id": self._id, "event": event.type.partition(".")[2], "at": recorded.time}
                facts = event.model_dump(mode="json", exclude_none=True)
                self._whole = _encode({"sequence": self.sequence, **said, "actor": recorded.actor, **facts})
            yield Said("alert", self._whole)

    def _activity(self, recorded: Recorded, event: ActivityRecorded) -> bytes:
        if self._whole is None:
            said = event.model_dump(include=set(ActivityRow.model_fields))
            direction = direction_of(event.kind)
            row = ActivityRow(
                id=recorded.id, time=recorded.time, actor=recorded.actor, direction=direction, **said
            )
            self._whole = _encode({"sequence": self.sequence, **row.model_dump(exclude_none=True)})
        return self._whole


def _recorded(entry: Logged) -> Recorded | None:
    """None for what is a newer service's, and for a defect, which our log names."""
    try:
        return upcasts.decode(entry.headers, entry.data, subject=entry.subject, sequence=entry.sequence)
    except Unprocessable as failure:
        _log.error("an event is unreadable", subject=entry.subject, error=str(failure))
        return None


def _has(samples: list[Sample], metrics: frozenset[str]) -> bool:
    return any(reading.metric in metrics for sample in samples for reading in sample.readings)


def _narrowed(samples: list[Sample], wanted: Selection) -> list[dict[str, Any]]:
    """The samples of the devices, and of them the metrics, that are asked for."""
    return [
        shown
        for sample in samples
        if not wanted.devices or sample.device_id in wanted.devices
        if (shown := _sample(sample, wanted.metrics))["metrics"]
    ]


def _sample(sample: Sample, metrics: frozenset[str] = frozenset()) -> dict[str, Any]:
    readings = [one for one in sample.readings if not metrics or one.metric in metrics]
    return {
        "device_id": sample.device_id,
        "timestamp": sample.time,
        "metrics": {reading.metric: reading.value for reading in readings},
        "units": {reading.metric: reading.unit for reading in readings if reading.unit},
    }


def _origin(read: Read) -> dict[str, Any]:
    return {
        "sequence": read.sequence,
        "received_at": read.stored.received,
        "device_id": read.device,
        "topic": read.stored.topic,
        "integration_id": read.stored.source,
    }


def _message(read: Read) -> dict[str, Any]:
    stored = read.stored
    try:
        payload, encoding = stored.payload.decode(), "utf-8"
    except UnicodeDecodeError:
        payload, encoding = base64.b64encode(stored.payload).decode(), "base64"
    said: dict[str, Any] = {
        **_origin(read),
        "qos": stored.qos,
        "retain": stored.retain,
        "payload": payload,
        "encoding": encoding,
        "readings": [_sample(sample) for sample in read.decoded.samples],
    }
    presences = [{"device_id": one.device_id, "online": one.online} for one in read.presences]
    if presences:
        said["presence"] = presences[0]
    if len(presences) > 1:  # a node that takes its devices along
        said["presences"] = presences
    if read.failure is not None:
        said["failure"] = read.failure
    if read.undecoded is not None:
        said["undecoded"] = read.undecoded
    return said
