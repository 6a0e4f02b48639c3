"""The answers to `contracts.telemetry`: each is one SQL statement, in the organization's own view."""

from __future__ import annotations

from datetime import UTC, datetime

from contracts.alerts import Alert, AlertRow, GetAlert, ListAlerts
from contracts.calls import Page
from contracts.connections import ConnectionStatistics, GetConnectionStatistics
from contracts.dead_letter_calls import (
    CountDeadLetters,
    DeadLetter,
    DeadLetterCounts,
    DeadLetterRow,
    GetDeadLetter,
    ListDeadLetters,
)
from contracts.device_commands import DeviceCommandView, GetDeviceCommand, ListDeviceCommands
from contracts.presence import GetPresence, PresencePage
from contracts.series import GetSeries, LatestRow, ListLatest, SeriesPage
from contracts.telemetry import (
    ActivityRow,
    DeviceDetail,
    DeviceRow,
    GetActivity,
    GetDevice,
    ListActivity,
    ListDevices,
    ListMessages,
    ListMetrics,
    ListTelemetry,
    MessageRow,
    MetricRow,
    TelemetryRow,
)
from runtime.event_log import EventLog
from services.telemetry.described import Described
from services.telemetry.queries import (
    activity,
    alerts,
    commands,
    connections,
    dead_letters,
    device_list,
    devices,
    latest,
    messages,
    metrics,
    presence,
    series,
    telemetry,
)
from services.telemetry.queries.session import ReadStore


class Queries:
    """Handlers of the calls."""

    def __init__(self, store: ReadStore, commands: EventLog, described: Described) -> None:
        self.store, self._commands, self._described = store, commands, described

    @classmethod
    def connect(
        cls, url: str, pool_size: int, timeout_s: float, commands: EventLog, described: Described
    ) -> Queries:
        return cls(ReadStore(url, pool_size, timeout_s), commands, described)

    async def close(self) -> None:
        await self.store.close()

    async def list_telemetry(self, query: ListTelemetry) -> Page[TelemetryRow]:
        return await telemetry.list_telemetry(self.store, query, self._described)

    async def get_series(self, query: GetSeries) -> SeriesPage:
        return await series.get_series(self.store, query, datetime.now(UTC))

    async def list_latest(self, query: ListLatest) -> Page[LatestRow]:
        return await latest.list_latest(self.store, query, self._described)

    async def list_messages(self, query: ListMessages) -> Page[MessageRow]:
        return await messages.list_messages(self.store, query)

    async def list_devices(self, query: ListDevices) -> Page[DeviceRow]:
        return await device_list.list_devices(self.store, query)

    async def list_metrics(self, query: ListMetrics) -> Page[MetricRow]:
        return await metrics.list_metrics(self.store, query, self._described)

    async def get_presence(self, query: GetPresence) -> PresencePage:
        return await presence.get_presence(self.store, query, datetime.now(UTC))

    async def get_device(self, query: GetDevice) -> DeviceDetail:
        return await devices.get_device(self.store, query, self._described)

    async def list_activity(self, query: ListActivity) -> Page[ActivityRow]:
        return await activity.list_activity(self.store, query)

    async def get_activity(self, query: GetActivity) -> ActivityRow:
        return await activity.get_activity(self.store, query)

    async def list_dead_letters(self, query: ListDeadLetters) -> Page[DeadLetterRow]:
        return await dead_letters.list_dead_letters(self.store, query)

    async def get_dead_letter(self, query: GetDeadLetter) -> DeadLetter:
        return await dead_letters.get_dead_letter(self.store, query)

    async def count_dead_letters(self, query: CountDeadLetters) -> DeadLetterCounts:
        return await dead_letters.count_dead_letters(self.store, query)

    async def connection_statistics(self, query: GetConnectionStatistics) -> ConnectionStatistics:
        return await connections.statistics(self.store, query)

    async def list_alerts(self, query: ListAlerts) -> Page[AlertRow]:
        return await alerts.list_alerts(self.store, query)

    async def get_alert(self, query: GetAlert) -> Alert:
        return await alerts.get_alert(self.store, query)

    async def list_commands(self, query: ListDeviceCommands) -> Page[DeviceCommandView]:
        return await commands.list_commands(self.store, query)

    async def get_command(self, query: GetDeviceCommand) -> DeviceCommandView:
        return await commands.get_command(self.store, self._commands, query)
