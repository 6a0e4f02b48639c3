"""Metrics: what devices measure, in which units."""

from __future__ import annotations

from litestar import get

from contracts.calls import Page
from contracts.telemetry import LIST_METRICS, ListMetrics, MetricRow
from services.gateway.parameters import Caller, Cursor, Limit, Text
from services.gateway.state import Backend


@get("/v1/metrics")
async def list_metrics(
    gateway: Backend, caller: Caller, name: Text = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[MetricRow]:
    """List metrics with the units and kinds in which devices send them, the newest use first.

    `conflict`: there is more than one unit, or kind, under this name. What a device says is noted once a day."""
    query = ListMetrics(organization=caller.organization, name=name, limit=limit, cursor=cursor)
    return await gateway.ask(LIST_METRICS, query)


ROUTES = [list_metrics]
