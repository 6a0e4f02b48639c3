"""What every service needs to run: bus, event log, settings, logs, traces, health. Knows no domain."""

from runtime import wait_for as _mended  # noqa: F401 - before any library asks asyncio for it
