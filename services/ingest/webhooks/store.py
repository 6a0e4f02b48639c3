"""What is kept of a webhook in DELIVERIES: its calls, slot by slot, and how it stands.

Each slot is written with its expected last sequence: a second owner is noticed by the first write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import nats.errors
from nats.aio.client import Client
from pydantic import ValidationError
from uuid_utils import uuid7

from contracts import subjects
from contracts.failures import Unavailable
from contracts.streams import DELIVERIES
from contracts.webhook_deliveries import DeliveryRecord, Standing
from runtime import jetstream
from runtime.event_log import BATCH_COMMIT, BATCH_ID, BATCH_SEQUENCE, EXPECTED_LAST
from runtime.jetstream import WRONG_LAST_SEQUENCE, ApiError
from runtime.observe import log
from services.ingest.links import Key

_log = log(part="webhooks")
STATE = "state"
READ_AT_ONCE = 500
ANSWER_S = 2.0
RETRY_S = 0.3


class Lost(Exception):
    """Somebody else has written: this webhook is another's."""


class Kept(NamedTuple):
    standing: Standing
    records: list[tuple[str, DeliveryRecord]]  # slot, call
    sequences: dict[str, int]  # of each slot's last entry


async def read(client: Client, key: Key) -> Kept:
    """All of it. Raises Unavailable("log.unavailable")."""
    standing, records, sequences = Standing(), [], {}
    pattern, start = subjects.deliveries_of(*key), 1
    while True:
        query = {"seq": start, "next_by_subj": pattern, "batch": READ_AT_ONCE}
        found = await jetstream.direct_batch(client, DELIVERIES.name, query, timeout_s=ANSWER_S)
        for message in found:
            headers = message.headers or {}
            start = int(headers["Nats-Sequence"]) + 1
            slot = headers["Nats-Subject"].rpartition(".")[2]
            sequences[slot] = start - 1
            try:
                if slot == STATE:
                    standing = Standing.model_validate_json(message.data)
                else:
                    records.append((slot, DeliveryRecord.model_validate_json(message.data)))
            except ValidationError as error:
                _log.error(
                    "a call's record cannot be read", slot=slot, webhook=key.integration, error=str(error)
                )
        if len(found) < READ_AT_ONCE:
            return Kept(standing, records, sequences)


class Store:
    """Writes of the one owner."""

    def __init__(self, client: Client, key: Key, sequences: dict[str, int]) -> None:
        self._client, self._key, self._sequences = client, key, sequences
        self._turn = asyncio.Lock()

    async def save(self, entries: Sequence[tuple[str, DeliveryRecord | Standing]]) -> None:
        """All or none. Waits for a log that is away; raises Lost."""
        encoded = [(slot, model.model_dump_json(exclude_defaults=True).encode()) for slot, model in entries]
        async with self._turn:
            while True:
                try:
                    last = await self._send(encoded)
                    break
                except ApiError as error:
                    if error.code not in WRONG_LAST_SEQUENCE:
                        raise Unavailable("log.unavailable", str(error)) from error
                    stored = await self._stored(encoded[-1][0])
                    if stored is None or stored[0] != encoded[-1][1]:
                        raise Lost from error
                    last = stored[1]  # our own, whose acknowledgement was lost
                    break
                except Unavailable as failure:
                    _log.warning("a call is not recorded yet", error=failure.detail)
                    await asyncio.sleep(RETRY_S)
            for offset, (slot, _) in enumerate(encoded):
                self._sequences[slot] = last - len(encoded) + 1 + offset

    async def _send(self, encoded: Sequence[tuple[str, bytes]]) -> int:
        """The sequence of the last one stored."""
        batch = str(uuid7())
        for number, (slot, data) in enumerate(encoded, 1):
            headers = {EXPECTED_LAST: str(self._sequences.get(slot, 0))}
            if len(encoded) > 1:
                headers |= {BATCH_ID: batch, BATCH_SEQUENCE: str(number)}
            subject = subjects.delivery(*self._key, slot)
            if number < len(encoded):
                try:
                    await self._client.publish(subject, data, headers=headers)
                except (nats.errors.Error, OSError) as error:
                    raise Unavailable("log.unavailable", repr(error)) from error
                continue
            if len(encoded) > 1:
                headers[BATCH_COMMIT] = "1"
            answer = await jetstream.request(self._client, subject, data, headers=headers, timeout_s=ANSWER_S)
        return int(answer["seq"])

    async def _stored(self, slot: str) -> tuple[bytes, int] | None:
        query = {"last_by_subj": subjects.delivery(*self._key, slot)}
        found = await jetstream.direct_batch(
            self._client, DELIVERIES.name, {"multi_last": [query["last_by_subj"]], "batch": 1}
        )
        if not found:
            return None
        return found[0].data, int((found[0].headers or {})["Nats-Sequence"])
