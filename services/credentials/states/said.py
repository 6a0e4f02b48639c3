"""What people say of metrics and devices: each event is the whole of it."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.devices import DeviceDescribed, DeviceForgotten
from contracts.envelope import Event
from contracts.metrics import MetricCleared, MetricDescribed


@dataclass(frozen=True, slots=True)
class Metric:
    said: MetricDescribed | None = None  # None: what is learnt holds

    def evolve(self, event: Event) -> Metric:
        if isinstance(event, MetricDescribed | MetricCleared):
            return Metric(event if isinstance(event, MetricDescribed) else None)
        return self


@dataclass(frozen=True, slots=True)
class Device:
    said: bytes | None = None  # the event, as the log has it: an object would be three times as large

    def evolve(self, event: Event) -> Device:
        if isinstance(event, DeviceDescribed | DeviceForgotten):
            return Device(event.model_dump_json().encode() if isinstance(event, DeviceDescribed) else None)
        return self
