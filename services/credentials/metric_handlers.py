"""Metrics that people describe: kept here, shown by telemetry, which follows the registry."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime

from contracts import subjects
from contracts.calls import Nothing
from contracts.envelope import Event
from contracts.failures import Refused
from contracts.metrics import (
    CLEAR_METRIC,
    DESCRIBE_METRIC,
    DESCRIBED_MAX,
    ClearMetric,
    DescribeMetric,
    MetricCleared,
    MetricDescribed,
    MetricDescription,
    metric_id,
)
from runtime.event_log import Append
from services.credentials.commands import Commands, Draft
from services.credentials.handlers import Registry
from services.credentials.states.said import Metric


def decide_metric(command: DescribeMetric | ClearMetric, held: Metric, described: int) -> list[Event]:
    """Pure. `described` is how many the organization has."""
    match command:
        case ClearMetric():
            return [MetricCleared(name=command.name)] if held.said is not None else []
        case DescribeMetric():
            said = MetricDescribed(
                name=command.name,
                unit=command.unit,
                label=command.label,
                description=command.description,
                kind=command.kind,
            )
            if held.said is None and described >= DESCRIBED_MAX:
                raise Refused("limit.reached", f"an organization may describe {DESCRIBED_MAX} metrics")
            return [] if held.said == said else [said]


class MetricHandlers:
    def __init__(self, commands: Commands, registry: Registry) -> None:
        self._commands, self._registry = commands, registry
        self._table = registry.directory.metrics
        # One at a time for each organization: so many at once do not pass the limit together.
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def describe(self, request: DescribeMetric) -> MetricDescription:
        async def decide(_: datetime) -> Draft[MetricDescription]:
            answer = MetricDescription(**request.model_dump(include=set(MetricDescription.model_fields)))
            return Draft(await self._appends(request), answer)

        async with self._turns[request.organization]:
            return await self._commands.run(DESCRIBE_METRIC, request, decide)

    async def clear(self, request: ClearMetric) -> Nothing:
        async def decide(_: datetime) -> Draft[Nothing]:
            return Draft(await self._appends(request), Nothing())

        async with self._turns[request.organization]:
            return await self._commands.run(CLEAR_METRIC, request, decide)

    async def _appends(self, request: DescribeMetric | ClearMetric) -> tuple[Append, ...]:
        organization = request.organization
        await self._registry.require_organization(organization)
        await self._registry.directory.catch_up()  # another replica may have written of it
        id = metric_id(organization, request.name)
        entry = self._table.get(organization, id)
        if entry is None and isinstance(request, ClearMetric):
            raise Refused("not_found", "nobody has said anything of this metric")
        held, last = (Metric(), 0) if entry is None else (entry.state, entry.last)
        described = sum(
            each.state.said is not None for each in self._table.by_organization.get(organization, [])
        )
        events = decide_metric(request, held, described)
        return tuple(Append(subjects.registry(organization, "metric", id), event, last) for event in events)
