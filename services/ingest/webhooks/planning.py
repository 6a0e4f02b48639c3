"""From what is meant for a webhook to its calls: pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from contracts.webhook_deliveries import BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, DeliveryRecord, Source
from services.ingest.links import Key
from services.ingest.webhooks.reading import Item


class Planned(NamedTuple):
    """A call that is to be made, with what it carries."""

    record: DeliveryRecord
    items: list[Item]


def planned(
    key: Key,
    source: Source,
    items: Sequence[Item],
    *,
    ordered: bool,
    epoch: str,
    through: int,
    at_ns: int,
    number: int,
    now: datetime,
) -> list[Planned]:
    """The calls for these items, `number` being the first one's; events go one by one, messages together."""
    calls = []
    for offset, chunk in enumerate(_chunks(source, items, ordered)):
        first = chunk[0]
        lane = (first.device or "") if ordered else None
        devices = {each.device for each in chunk}
        record = DeliveryRecord(
            id=first.id or _id(key, epoch, first.found.sequence, lane),
            number=number + offset,
            type=first.type,
            source=source,
            epoch=epoch,
            sequences=tuple(each.found.sequence for each in chunk),
            size=sum(len(each.found.data) for each in chunk),
            through=through,
            at_ns=at_ns,
            lane=lane,
            device_id=devices.pop() if len(devices) == 1 else None,
            planned_at=now,
        )
        calls.append(Planned(record, chunk))
    return calls


def joined(held: DeliveryRecord, later: DeliveryRecord) -> DeliveryRecord | None:
    """The call that was never attempted with what the later one of its lane carries, too; None: they do not fit."""
    fit = (
        held.attempts == 0
        and held.state == "pending"
        and held.source == later.source == "MESSAGES"
        and held.epoch == later.epoch
        and len(held.sequences) + len(later.sequences) <= BATCH_MESSAGES_MAX
        and held.size + later.size <= BATCH_BYTES_MAX
    )
    if not fit:
        return None
    update = {
        "sequences": held.sequences + later.sequences,
        "size": held.size + later.size,
        "through": later.through,
        "at_ns": later.at_ns,
    }
    return held.model_copy(update=update)


def _chunks(source: Source, items: Sequence[Item], ordered: bool) -> Iterable[list[Item]]:
    if source != "MESSAGES":
        yield from ([each] for each in items)
        return
    lanes: dict[str, list[Item]] = {}
    for each in items:
        lanes.setdefault((each.device or "") if ordered else "", []).append(each)
    for lane in lanes.values():
        yield from _sized(lane)


def _sized(items: Sequence[Item]) -> Iterable[list[Item]]:
    chunk: list[Item] = []
    size = 0
    for each in items:
        size += len(each.found.data)
        if chunk and (len(chunk) == BATCH_MESSAGES_MAX or size > BATCH_BYTES_MAX):
            yield chunk
            chunk, size = [], len(each.found.data)
        chunk.append(each)
    if chunk:
        yield chunk


def _id(key: Key, epoch: str, sequence: int, lane: str | None) -> str:
    """The same for the same messages, whoever plans them again."""
    named = f"{key.organization} {key.integration} {epoch} {sequence} {lane}"
    return "msg_" + hashlib.sha256(named.encode()).hexdigest()[:32]
