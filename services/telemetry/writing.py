"""Rows of a batch into the database, in the transaction of its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

from contracts.decoders.choice import Origin
from services.telemetry import copying, presence
from services.telemetry.checkpoints import Session
from services.telemetry.decoding import Batch, MessageRow, SampleRow
from services.telemetry.dictionaries import Dictionaries, Organization
from services.telemetry.metric_uses import MetricUses
from services.telemetry.presence import Why, Word

SAMPLE_COLUMNS = (
    "time",
    "sequence",
    "organization",
    "device",
    "epoch",
    "position",
    "flags",
    "decoder",
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
    " FROM unnest($1::int[], $2::bigint[], $3::timestamptz[], $4::timestamptz[])"
    " AS seen (id, count, first, last)"
    " WHERE d.id = seen.id"
)
_SET_METRICS = (
    "INSERT INTO device_metrics AS held (organization, device, metric, day)"
    " SELECT * FROM unnest($1::int[], $2::int[], $3::int[], $4::date[])"
    " ON CONFLICT (device, metric) DO UPDATE SET day = excluded.day WHERE held.day < excluded.day"
)


_HOUR = timedelta(hours=1)
_NO_HOUR = datetime.min.replace(tzinfo=UTC)
_NOTHING = copying.NULL * 2  # neither others nor units


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
        self.organizations = dictionaries.organizations
        self._decoders = dictionaries.decoders
        self.epoch = epoch
        self.seen: dict[int, Seen] = {}
        self.days: set[tuple[str, date]] = set()  # table and day of each row
        self.hours: set[tuple[int, datetime, int]] = set()  # device, hour and organization of each sample
        self.messages = [self._message(row, epoch) for row in batch.messages]
        for (organization, device), at in batch.heard.items():
            held = self.organizations[organization]
            self._see(held.id, held.devices[device], at)
        self.new_days: dict[tuple[int, tuple[str, ...]], date] = {}
        self.metric_days: dict[tuple[int, int, int], date] = {}  # organization, device, metric
        self.uses = MetricUses()
        self.samples = self._samples(batch.samples, days, epoch)
        self.words: dict[int, list[Word]] = {}
        for organization, received, said in batch.presences:
            id = self.organizations[organization].devices[said.device_id]
            why: Why = "status" if said.reason == "status" else "lwt"
            self.words.setdefault(id, []).append(Word(said.online, said.time, why, received))

    def _message(self, row: MessageRow, epoch: int) -> bytes:
        received, sequence, name, device_name, qos, retain, source, topic, payload, failure = row
        organization = self.organizations[name]
        self.days.add(("messages", received.date()))
        device = None
        if device_name is not None:
            device = organization.devices[device_name]
            self._see(organization.id, device, received).count += 1
        return copying.message(
            received,
            sequence,
            organization.id,
            device,
            epoch,
            qos,
            retain,
            copying.texts(source, topic),
            payload,
            failure,
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

    def _samples(self, rows: Sequence[SampleRow], days: DaysOfMetrics, epoch: int) -> list[bytes]:
        made = []
        stored, hours = days.stored, self.hours
        latest, hour, hour_ends = date.min, _NO_HOUR, _NO_HOUR
        last_origin: Origin | None = None
        decoder = 0
        for (
            time,
            sequence,
            name,
            device_name,
            position,
            flags,
            source,
            topic,
            names,
            numbers,
            others,
            units,
            _,
            origin,
        ) in rows:
            if origin is not last_origin:  # they come in runs
                last_origin, decoder = origin, self._decoders[origin]
            organization = self.organizations[name]
            device = organization.devices[device_name]
            shape = organization.shapes[names]
            day = time.date()
            if day != latest:
                latest = day
                self.days.add(("samples", day))
            if not hour <= time < hour_ends:
                hour = time.replace(minute=0, second=0, microsecond=0)
                hour_ends = hour + _HOUR
            hours.add((device, hour, organization.id))
            held = stored.get((device, names))
            if (held is None or held < day) and self._new_day(organization, device, names, day):
                self.uses.note(organization.id, shape.ids, others, units, day)
            rest = _NOTHING
            if others is not None or units is not None:
                rest = copying.jsonb(_by_id(shape.ids, others)) + copying.jsonb(_by_id(shape.ids, units))
            made.append(
                copying.sample(
                    time,
                    sequence,
                    organization.id,
                    device,
                    epoch,
                    position,
                    flags,
                    decoder,
                    copying.texts(source, topic),
                    shape.wire,
                    copying.doubles(numbers),
                    rest,
                )
            )
        return made

    def _new_day(self, organization: Organization, device: int, names: tuple[str, ...], day: date) -> bool:
        key = (device, names)
        if self.new_days.get(key, date.min) >= day:
            return False
        self.new_days[key] = day
        for metric in organization.shapes[names].ids:
            place = (organization.id, device, metric)
            self.metric_days[place] = max(day, self.metric_days.get(place, day))
        return True

    async def copy(self, connection: Session, table: Literal["samples", "messages"]) -> None:
        rows, columns = (
            (self.samples, SAMPLE_COLUMNS) if table == "samples" else (self.messages, MESSAGE_COLUMNS)
        )
        await connection.copy_to_table(table, source=copying.stream(rows), columns=columns, format="binary")

    async def update(self, connection: Session) -> None:
        """What is not a row of its own: devices and their metrics."""
        if self.seen:
            ids = sorted(self.seen)
            seen = [self.seen[id] for id in ids]
            await connection.execute(
                _TOUCH_DEVICES, ids, [s.count for s in seen], [s.first for s in seen], [s.last for s in seen]
            )
        await presence.store(connection, self.words)
        await self.uses.store(connection)
        if self.metric_days:
            places = sorted(self.metric_days)
            await connection.execute(
                _SET_METRICS,
                [p[0] for p in places],
                [p[1] for p in places],
                [p[2] for p in places],
                [self.metric_days[p] for p in places],
            )


def _by_id(metrics: list[int], values: dict[int, Any] | None) -> dict[int, Any] | None:
    return None if values is None else {metrics[at]: value for at, value in values.items()}
