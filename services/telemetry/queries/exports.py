"""The answers to `contracts.exports`: a page each, one SQL statement, with connections of their own."""

from __future__ import annotations

from contracts.exports import ExportActivity, ExportPage, ExportReadings
from services.telemetry.described import Described
from services.telemetry.queries import export_activity, export_readings
from services.telemetry.queries.session import ReadStore


class Exports:
    """Handlers of the calls. No page holds anything between two calls: a slow reader holds up nobody."""

    def __init__(self, store: ReadStore, described: Described) -> None:
        self._store, self._described = store, described

    @classmethod
    def connect(cls, url: str, pool_size: int, timeout_s: float, described: Described) -> Exports:
        return cls(ReadStore(url, pool_size, timeout_s), described)

    async def close(self) -> None:
        await self._store.close()

    async def readings(self, query: ExportReadings) -> tuple[ExportPage, bytes]:
        return await export_readings.export(self._store, query, self._described)

    async def activity(self, query: ExportActivity) -> tuple[ExportPage, bytes]:
        return await export_activity.export(self._store, query)
