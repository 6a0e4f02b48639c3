"""The answers to `contracts.telemetry`: each is one SQL statement, in the organization's own view."""

from __future__ import annotations

from contracts.calls import Page
from contracts.connections import ConnectionStatistics, GetConnectionStatistics
from contracts.device_commands import DeviceCommandView, GetDeviceCommand, ListDeviceCommands
from contracts.telemetry import (
    ActivityRow,
    DeviceDetail,
    DeviceRow,
    GetDevice,
    ListActivity,
    ListDevices,
    ListMessages,
    ListTelemetry,
    MessageRow,
    TelemetryRow,
)
from runtime.event_log import EventLog
from services.telemetry.queries import activity, commands, connections, devices, messages, telemetry
from services.telemetry.queries.session import ReadStore


class Queries:
    """Handlers of the calls."""

    def __init__(self, store: ReadStore, commands: EventLog) -> None:
        self._store, self._commands = store, commands

    @classmethod
    def connect(cls, url: str, pool_size: int, timeout_s: float, commands: EventLog) -> Queries:
        return cls(ReadStore(url, pool_size, timeout_s), commands)

    async def close(self) -> None:
        await self._store.close()

    async def list_telemetry(self, query: ListTelemetry) -> Page[TelemetryRow]:
        return await telemetry.list_telemetry(self._store, query)

    async def list_messages(self, query: ListMessages) -> Page[MessageRow]:
        return await messages.list_messages(self._store, query)

    async def list_devices(self, query: ListDevices) -> Page[DeviceRow]:
        return await devices.list_devices(self._store, query)

    async def get_device(self, query: GetDevice) -> DeviceDetail:
        return await devices.get_device(self._store, query)

    async def list_activity(self, query: ListActivity) -> Page[ActivityRow]:
        return await activity.list_activity(self._store, query)

    async def connection_statistics(self, query: GetConnectionStatistics) -> ConnectionStatistics:
        return await connections.statistics(self._store, query)

    async def list_commands(self, query: ListDeviceCommands) -> Page[DeviceCommandView]:
        return await commands.list_commands(self._store, query)

    async def get_command(self, query: GetDeviceCommand) -> DeviceCommandView:
        return await commands.get_command(self._store, self._commands, query)
