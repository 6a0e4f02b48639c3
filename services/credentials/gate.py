"""No device comes in before the server fills MESSAGES: until then, what it acknowledges is lost."""

from __future__ import annotations

import asyncio

from contracts.failures import Unavailable
from runtime.bus import Bus
from runtime.jetstream import ApiError
from runtime.observe import log
from runtime.provision import source_attached

_log = log(part="gate")
CLOSED_EVERY_S = 1.0
OPEN_EVERY_S = 5.0  # once there, the source goes only when somebody deletes MESSAGES
FRESH_S = 0.2  # while it is closed, a connect asks again, but not every one of a storm


class Gate:
    """`watch()` is its task."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self.open = False
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    async def watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(OPEN_EVERY_S if self.open else CLOSED_EVERY_S)

    async def ask(self) -> bool:
        """Whether devices may come in now."""
        async with self._looking:
            if not self.open and asyncio.get_running_loop().time() - self._looked_at > FRESH_S:
                await self._look()
        return self.open

    async def _look(self) -> None:
        try:
            attached = await source_attached(self._bus)
        except (Unavailable, ApiError) as error:
            # Not known: an attached source stays so (the server keeps its consumer through restarts).
            _log.warning("the source of the hosted broker cannot be asked for", error=str(error))
            attached = self.open
        if attached != self.open:
            _log.info("the hosted broker takes devices" if attached else "the hosted broker takes no devices")
        self.open = attached
        self._looked_at = asyncio.get_running_loop().time()
