"""What a revoked credential would leave at the hosted broker goes with it: wills, sessions, retained messages.

Sessions are those of the client ids that it was seen with (`LastUse` remembers the newest ones).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from contracts.credentials import CredentialRevoked
from contracts.envelope import Recorded
from contracts.failures import Unavailable
from contracts.organizations import OrganizationDeleted
from contracts.subjects import Entity
from runtime.jetstream import ApiError
from runtime.observe import log
from services.credentials.directory import Directory
from services.credentials.last_use import LastUse
from services.credentials.retained import Retained
from services.credentials.takeover import Takeover

_log = log(part="leavings")
RECENT = timedelta(minutes=15)  # a start does again what a crash may have left undone
AGAIN_S = 1.0  # for what was on its way while the connection was ended
RETRY_S = 2.0
ATTEMPTS = 30
AT_A_TIME = 16


class Leavings:
    """`run()` is its task; a listener of the directory."""

    def __init__(
        self, directory: Directory, last_use: LastUse, takeover: Takeover, retained: Retained
    ) -> None:
        self._directory, self._last_use = directory, last_use
        self._takeover, self._retained = takeover, retained
        self._queue: asyncio.Queue[Entity] = asyncio.Queue()

    def __call__(self, entity: Entity, recorded: Recorded) -> None:
        if not isinstance(recorded.event, CredentialRevoked | OrganizationDeleted):
            return
        if self._directory.caught_up or datetime.now(UTC) - recorded.time < RECENT:
            self._queue.put_nowait(entity)

    async def take_over(self, client_ids: list[str]) -> None:
        """Ends these connections without their wills; what cannot be is left to a kick."""
        await asyncio.gather(*(self._takeover(client_id) for client_id in client_ids))

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_A_TIME):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            entity = await self._queue.get()
            for _ in range(ATTEMPTS):
                try:
                    await self._clear(entity)
                    break
                except (Unavailable, ApiError) as error:
                    _log.warning("leavings cannot be erased now", subject=entity.id, error=str(error))
                    await asyncio.sleep(RETRY_S)

    async def _clear(self, entity: Entity) -> None:
        owned = self._directory.credentials.by_organization.get(entity.organization, [])
        ended = [entry for entry in owned if entity.kind == "organization" or entry.id == entity.id]
        client_ids = {entry.state.client_id for entry in ended}
        client_ids.update(id for entry in ended for id in self._last_use.client_ids(entry.id))
        await self.take_over(sorted(client_ids))
        source = entity.id if entity.kind == "credential" else None
        erased = await self._retained.erase(entity.organization, source)
        await asyncio.sleep(AGAIN_S)
        erased += await self._retained.erase(entity.organization, source)
        if erased:
            _log.info("retained messages erased", subject=entity.id, count=erased)
