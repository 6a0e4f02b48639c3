"""Metrics, newest first by when they were first heard of, with the units and kinds in which they are sent."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, select

from contracts.calls import Page
from contracts.telemetry import ListMetrics, MetricRow, MetricUse
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import metric_uses, metrics

_KIND = "metrics"
USES_SHOWN = 20  # of one metric, the newest


async def list_metrics(store: ReadStore, query: ListMetrics) -> Page[MetricRow]:
    rows = await store.read(query.organization, statement(query))
    page = rows[: query.limit]
    cursor = cursors.encode(_KIND, page[-1].id) if len(rows) > query.limit else None
    return Page(items=[_row(row) for row in page], next_cursor=cursor)


def statement(query: ListMetrics) -> Select[Any]:
    used = select(metric_uses.c.metric).where(metric_uses.c.metric == metrics.c.id).exists()
    wanted: list[ColumnElement[bool]] = [used]
    if query.name is not None:
        wanted.append(metrics.c.name == query.name)
    if query.cursor is not None:
        wanted.append(metrics.c.id < cursors.decode(_KIND, query.cursor, int)[0])
    page = (
        select(metrics.c.id, metrics.c.name)
        .where(and_(*wanted))
        .order_by(metrics.c.id.desc())
        .limit(query.limit + 1)
        .subquery("page")
    )
    newest = (
        select(metric_uses)
        .where(metric_uses.c.metric == page.c.id)
        .order_by(metric_uses.c.last_day.desc(), metric_uses.c.unit, metric_uses.c.kind)
        .limit(USES_SHOWN)
        .correlate(page)
        .subquery("newest")
    )
    use = func.jsonb_build_object(
        "unit",
        newest.c.unit,
        "kind",
        newest.c.kind,
        "first_day",
        newest.c.first_day,
        "last_day",
        newest.c.last_day,
    )
    uses = select(func.jsonb_agg(use)).select_from(newest).correlate(page).scalar_subquery().label("uses")
    return select(page, uses).order_by(page.c.id.desc())


def _row(row: Row[Any]) -> MetricRow:
    uses = tuple(MetricUse.model_validate({**use, "unit": use["unit"] or None}) for use in row.uses)
    units = {use.unit for use in uses if use.unit is not None}
    kinds = {use.kind for use in uses}
    return MetricRow(
        name=row.name,
        kind=uses[0].kind,
        unit=next((use.unit for use in uses if use.unit is not None), None),
        conflict=len(units) > 1 or len(kinds) > 1,
        uses=uses,
    )
