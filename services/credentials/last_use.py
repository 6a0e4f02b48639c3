"""When each secret was last used, and by which client ids: in memory, and soon in the bucket LAST_USED.

No fact of the registry: a use is written at most once in half a minute for each credential, so that a fleet
that reconnects costs little, and a crash forgets at most as much. Every replica reads what the others write.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import msgspec
from nats.aio.client import Client
from uuid_utils import uuid7

from contracts import subjects
from contracts.failures import Unavailable
from contracts.streams import LAST_USED
from runtime.jetstream import ApiError
from runtime.log_writer import MESSAGE_ID, LogWriter, Stored
from runtime.observe import log
from runtime.pull import Pull

_log = log(part="last use")
EVERY_S = 30.0
TICK_S = 1.0
SETTLE_S = 5.0  # how long a stop waits for the bucket
BATCH = 2000
RETRY_S = 1.0
SECRETS_KEPT = 2  # the newest one, and the one before it
CLIENT_IDS_MAX = 16  # of one credential; the oldest go


class Use(msgspec.Struct):
    """What is kept of one credential or key; `secrets` are seconds since 1970 by the secret's number."""

    secrets: dict[int, float] = msgspec.field(default_factory=dict)
    client_ids: list[str] = msgspec.field(default_factory=list)  # the newest last


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Use)


class LastUse:
    """`run()` and `follow()` are its tasks."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._writer = LogWriter(client)
        self._uses: dict[str, Use] = {}
        self._dirty: dict[str, str] = {}  # id → organization
        self._written: dict[str, float] = {}

    def note(self, organization: str, id: str, number: int = 1, client_id: str | None = None) -> None:
        """This secret was used now."""
        use = self._uses.setdefault(id, Use())
        _merge(use, Use({number: time.time()}, [] if client_id is None else [client_id]))
        self._dirty[id] = organization

    def at(self, id: str, number: int | None = None) -> datetime | None:
        """When the secret of this number, or any, was last used."""
        use = self._uses.get(id)
        if use is None:
            return None
        seconds = max(use.secrets.values(), default=None) if number is None else use.secrets.get(number)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

    def client_ids(self, id: str) -> tuple[str, ...]:
        """By which the credential was seen to connect."""
        use = self._uses.get(id)
        return () if use is None else tuple(use.client_ids)

    async def run(self) -> None:
        """Writes until cancelled, and then what is left."""
        writing = asyncio.create_task(self._writer.run())
        try:
            while True:
                await asyncio.sleep(TICK_S)
                self._flush(time.monotonic() - EVERY_S)
        finally:
            left = self._flush(time.monotonic())
            if left and not writing.done():
                await asyncio.wait(left, timeout=SETTLE_S)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def follow(self) -> None:
        """Reads what any replica wrote, from the beginning on, until cancelled."""
        pull = Pull(self._client, LAST_USED.name, start=1, name="last-used")
        while True:
            try:
                entries = await pull.next_batch(BATCH)
            except (Unavailable, ApiError) as error:  # also where the bucket is not provisioned yet
                _log.warning("the last uses cannot be read", error=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            for entry in entries:
                id = entry.subject.rpartition(".")[2]
                try:
                    _merge(self._uses.setdefault(id, Use()), _decoder.decode(entry.data))
                except msgspec.DecodeError as error:
                    _log.warning("a last use cannot be read", id=id, error=str(error))

    def _flush(self, before: float) -> list[asyncio.Future[Stored]]:
        """Writes what was not written since `before`."""
        due = [id for id in self._dirty if self._written.get(id, 0.0) <= before]
        written: list[asyncio.Future[Stored]] = []
        for id in due:
            headers = {MESSAGE_ID: str(uuid7())}
            subject = subjects.last_used(self._dirty[id], id)
            try:
                written.append(self._writer.write(subject, headers, _encode(self._uses[id])))
            except Unavailable:
                break  # the queue is full: the rest stays dirty
            del self._dirty[id]
            self._written[id] = time.monotonic()
        return written


def _merge(use: Use, later: Use) -> None:
    for number, seconds in later.secrets.items():
        use.secrets[number] = max(seconds, use.secrets.get(number, 0.0))
    for number in sorted(use.secrets)[:-SECRETS_KEPT]:
        del use.secrets[number]
    for client_id in later.client_ids:
        if client_id in use.client_ids:
            use.client_ids.remove(client_id)
        use.client_ids.append(client_id)
    del use.client_ids[:-CLIENT_IDS_MAX]
