"""A small reader of server-sent events (WHATWG HTML §9.2), as a browser reads them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Event:
    id: int | str | None  # the sequence, or a place in several logs
    event: str
    data: dict[str, Any]


class Stream:
    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self, *, timeout_s: float = 10) -> Event | None:
        """The next event; None at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(timeout_s):
            async for line in self._lines:
                if not line:
                    if "data" in fields:
                        id = fields.get("id")
                        shown = int(id) if id and id.isdigit() else id
                        return Event(shown, fields["event"], json.loads(fields["data"]))
                    fields.clear()
                    continue
                name, _, value = line.partition(": ")
                fields[name] = value
        return None

    async def take(self, count: int) -> list[Event]:
        events = [await self.next() for _ in range(count)]
        assert None not in events, "the stream ended"
        return [event for event in events if event is not None]


@asynccontextmanager
async def opened(
    client: httpx.AsyncClient, *, after: int | str | None = None, **query: str | list[str]
) -> AsyncIterator[Stream]:
    """A stream whose first bytes have come: what is sent from now on reaches it."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    async with client.stream("GET", "/v1/stream", params=query, headers=headers) as response:
        assert response.status_code == 200, await response.aread()
        stream = Stream(response)
        async with asyncio.timeout(5):
            async for line in stream._lines:
                if line.startswith(":"):
                    break
        yield stream
