"""What people said of metrics, by organization and name: in memory, from the registry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from contracts.envelope import Event
from contracts.metrics import MetricCleared, MetricDescribed

_NONE: Mapping[str, MetricDescribed] = MappingProxyType({})


class Described:
    """At most DESCRIBED_MAX of an organization: the registry's writer holds that limit."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, MetricDescribed]] = {}

    def of(self, organization: str) -> Mapping[str, MetricDescribed]:
        """By the metric's name."""
        return self._held.get(organization, _NONE)

    def unit(self, organization: str, metric: str) -> str | None:
        """The unit of readings that come without one."""
        said = self._held.get(organization, _NONE).get(metric)
        return None if said is None else said.unit

    def apply(self, organization: str, event: Event) -> bool:
        """Whether the event was of a metric."""
        match event:
            case MetricDescribed(name=name):
                self._held.setdefault(organization, {})[name] = event
            case MetricCleared(name=name):
                self._held.get(organization, {}).pop(name, None)
            case _:
                return False
        return True
