"""What was sent and not answered for longer than the stream remembers ids is looked for before it is sent again."""

import asyncio
from contextlib import suppress
from typing import Any

import nats.errors
import pytest
from uuid_utils import uuid7

from contracts import subjects
from contracts.streams import MESSAGES
from runtime.bus import Bus
from runtime.log_writer import MESSAGE_ID, LogWriter, Stored


class Forgetful:
    """A client whose first answer from the log is lost: after the request arrived, or before."""

    def __init__(self, client: Any, *, arrives: bool) -> None:
        self._client, self._arrives, self._lost = client, arrives, False
        self.sent = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def request(self, subject: str, *given: Any, **named: Any) -> Any:
        if not subject.startswith("message."):
            return await self._client.request(subject, *given, **named)
        self.sent += 1
        if self._lost:
            return await self._client.request(subject, *given, **named)
        self._lost = True
        if self._arrives:
            await self._client.request(subject, *given, **named)
        raise nats.errors.TimeoutError


async def store(client: Any, subject: str, ids: list[str], *, after_s: float) -> list[Stored]:
    writer = LogWriter(client, stream=MESSAGES.name, read_back_after_s=after_s)
    writes = [writer.write(subject, {MESSAGE_ID: id}, b"x") for id in ids]  # one batch
    task = asyncio.create_task(writer.run())
    try:
        return await asyncio.wait_for(asyncio.gather(*writes), 20)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("number", [1, 5])
async def test_a_message_that_had_arrived_is_found_and_not_sent_again(ingest_bus: Bus, number: int) -> None:
    organization = f"org_{uuid7().hex[-16:]}"
    subject = subjects.message(organization, "int_1", "d1")
    ids = [f"{organization}-{each}" for each in range(number)]
    client = Forgetful(ingest_bus.client, arrives=True)
    stored = await store(client, subject, ids, after_s=0)
    assert client.sent == 1, "the server would have stored it a second time: it remembers ids for two minutes"
    assert all(each.duplicate for each in stored)
    first = stored[0].sequence
    assert [each.sequence for each in stored] == list(range(first, first + number))


async def test_a_message_that_had_not_arrived_is_sent(ingest_bus: Bus) -> None:
    organization = f"org_{uuid7().hex[-16:]}"
    subject = subjects.message(organization, "int_1", "d1")
    client = Forgetful(ingest_bus.client, arrives=False)
    [stored] = await store(client, subject, [f"{organization}-1"], after_s=0)
    assert (client.sent, stored.duplicate) == (2, False)


async def test_within_the_window_the_server_tells_copies_itself(ingest_bus: Bus) -> None:
    organization = f"org_{uuid7().hex[-16:]}"
    subject = subjects.message(organization, "int_1", "d1")
    client = Forgetful(ingest_bus.client, arrives=True)
    [stored] = await store(client, subject, [f"{organization}-1"], after_s=60)
    assert (client.sent, stored.duplicate) == (2, True)
