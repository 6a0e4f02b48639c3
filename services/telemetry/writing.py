"""Rows of a batch into the database, in the transaction of its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from services.telemetry.checkpoints import Session
from services.telemetry.decoding import Batch, MessageRow, SampleRow
from services.telemetry.dictionaries import Dictionaries, Organization

SAMPLE_COLUMNS = (
    "time",
    "sequence",
    "organization",
    "device",
    "epoch",
    "position",
    "flags",
    "source",
    "topic",
    "metrics",
    "numbers",
    "others",
    "units",
)
MESSAGE_COLUMNS = (
    "received_at",
    "sequence",
    "organization",
    "device",
    "epoch",
    "qos",
    "retain",
    "source",
    "topic",
    "payload",
    "failure",
)
_TOUCH_DEVICES = (
    "UPDATE devices d SET messages = d.messages + seen.count,"
    " first_seen = least(d.first_seen, seen.first), last_seen = greatest(d.last_seen, seen.last)"
    " FROM unnest($1::int[], $2::bigint[], $3::timestamptz[], $4::timestamptz[]) AS seen (id, count, first, last)"
    " WHERE d.id = seen.id"
)
# What a device said last counts; since when, is when that began.
_SET_PRESENCE = (
    "UPDATE devices d SET online = said.online, online_since ="
    " CASE WHEN d.online IS NOT DISTINCT FROM said.online THEN d.online_since ELSE said.since END"
    " FROM unnest($1::int[], $2::bool[], $3::timestamptz[]) AS said (id, online, since) WHERE d.id = said.id"
)
_SET_METRICS = (
    "INSERT INTO device_metrics AS held (organization, device, metric, day)"
    " SELECT * FROM unnest($1::int[], $2::int[], $3::int[], $4::date[])"
    " ON CONFLICT (device, metric) DO UPDATE SET day = excluded.day WHERE held.day < excluded.day"
)


class Seen:
    """What a batch says of each device."""

    __slots__ = ("count", "first", "last", "organization")

    def __init__(self, organization: int, at: datetime) -> None:
        self.organization = organization
        self.count = 0
        self.first = self.last = at


class DaysOfMetrics:
    """The last day of each (device, metrics) that the database is known to have."""

    REMEMBERED_MAX = 500_000

    def __init__(self) -> None:
        self.stored: dict[tuple[int, tuple[str, ...]], date] = {}

    def forget(self) -> None:
        self.stored.clear()


class Rows:
    """A batch in the database's terms; made once, before the transaction."""

    def __init__(self, batch: Batch, dictionaries: Dictionaries, days: DaysOfMetrics, epoch: int) -> None:
        self._organizations = dictionaries.organizations
        self.seen: dict[int, Seen] = {}
        self.messages = [self._message(row, epoch) for row in batch.messages]
        for (organization, device), at in batch.heard.items():
            held = self._organizations[organization]
            self._see(held.id, held.devices[device], at)
        self.new_days: dict[tuple[int, tuple[str, ...]], date] = {}
        self.metric_days: dict[tuple[int, int, int], date] = {}  # organization, device, metric
        self.samples = self._samples(batch.samples, days, epoch)
        self.presences: dict[int, tuple[bool, datetime]] = {}
        for organization, _, presence in batch.presences:
            held = self._organizations[organization]
            id = held.devices[presence.device_id]
            before = self.presences.get(id)
            since = before[1] if before is not None and before[0] == presence.online else presence.time
            self.presences[id] = (presence.online, since)

    def _message(self, row: MessageRow, epoch: int) -> tuple[Any, ...]:
        organization = self._organizations[row.organization]
        device = None
        if row.device is not None:
            device = organization.devices[row.device]
            self._see(organization.id, device, row.received).count += 1
        return (
            row.received,
            row.sequence,
            organization.id,
            device,
            epoch,
            row.qos,
            row.retain,
            row.source,
            row.topic,
            row.payload,
            row.failure,
        )

    def _see(self, organization: int, device: int, at: datetime) -> Seen:
        seen = self.seen.get(device)
        if seen is None:
            seen = self.seen[device] = Seen(organization, at)
        elif at > seen.last:
            seen.last = at
        elif at < seen.first:
            seen.first = at
        return seen

    def _samples(self, rows: Sequence[SampleRow], days: DaysOfMetrics, epoch: int) -> list[tuple[Any, ...]]:
        made = []
        stored = days.stored
        for row in rows:
            organization = self._organizations[row.organization]
            device = organization.devices[row.device]
            metrics = organization.shapes[row.metrics]
            day = row.time.date()
            key = (device, row.metrics)
            held = stored.get(key)
            if held is None or held < day:
                self._new_day(organization, device, row.metrics, day)
            made.append(
                (
                    row.time,
                    row.sequence,
                    organization.id,
                    device,
                    epoch,
                    row.position,
                    row.flags,
                    row.source,
                    row.topic,
                    metrics,
                    row.numbers,
                    _by_id(metrics, row.others),
                    _by_id(metrics, row.units),
                )
            )
        return made

    def _new_day(self, organization: Organization, device: int, names: tuple[str, ...], day: date) -> None:
        key = (device, names)
        if self.new_days.get(key, date.min) >= day:
            return
        self.new_days[key] = day
        for metric in organization.shapes[names]:
            place = (organization.id, device, metric)
            self.metric_days[place] = max(day, self.metric_days.get(place, day))

    async def copy_samples(self, connection: Session) -> None:
        await connection.copy_records_to_table("samples", records=self.samples, columns=SAMPLE_COLUMNS)

    async def copy_messages(self, connection: Session) -> None:
        await connection.copy_records_to_table("messages", records=self.messages, columns=MESSAGE_COLUMNS)

    async def update(self, connection: Session) -> None:
        """What is not a row of its own: devices and their metrics."""
        if self.seen:
            ids = sorted(self.seen)
            seen = [self.seen[id] for id in ids]
            await connection.execute(
                _TOUCH_DEVICES, ids, [s.count for s in seen], [s.first for s in seen], [s.last for s in seen]
            )
        if self.presences:
            ids = sorted(self.presences)
            said = [self.presences[id] for id in ids]
            await connection.execute(_SET_PRESENCE, ids, [s[0] for s in said], [s[1] for s in said])
        if self.metric_days:
            places = sorted(self.metric_days)
            await connection.execute(
                _SET_METRICS,
                [p[0] for p in places],
                [p[1] for p in places],
                [p[2] for p in places],
                [self.metric_days[p] for p in places],
            )


def _by_id(metrics: list[int], values: dict[int, Any] | None) -> str | None:
    return None if values is None else json.dumps({metrics[at]: value for at, value in values.items()})
