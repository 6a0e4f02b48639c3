"""Metrics, newest first by when they were first heard of, with the units and kinds in which they are sent
and with what people say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, select

from contracts.calls import Page
from contracts.metrics import MetricDescribed, metric_id
from contracts.telemetry import ListMetrics, MetricRow, MetricUse
from services.telemetry.described import Described
from services.telemetry.queries import cursors
from services.telemetry.queries.session import ReadStore
from services.telemetry.tables import metric_uses, metrics

_KIND = "metrics"
USES_SHOWN = 20  # of one metric, the newest


async def list_metrics(store: ReadStore, query: ListMetrics, described: Described) -> Page[MetricRow]:
    """Those that were sent; behind them those that people described and nobody sent, in a fixed order."""
    said = described.of(query.organization)
    position = (
        None if query.cursor is None else cursors.decode(_KIND, query.organization, query.cursor, int)[0]
    )
    rows: Sequence[Row[Any]] = ()
    if position is None or position > 0:
        rows = await store.read(query.organization, statement(query, position))
        position = 0
    items = [_row(row, said.get(row.name)) for row in rows[: query.limit]]
    if len(rows) > query.limit:
        return Page(
            items=items, next_cursor=cursors.encode(_KIND, query.organization, rows[query.limit - 1].id)
        )
    waiting = await _never_sent(store, query, said, after=-position)
    room = query.limit - len(items)
    items += [_unsent(each) for _, each in waiting[:room]]
    if len(waiting) <= room:
        return Page(items=items)
    return Page(
        items=items,
        next_cursor=cursors.encode(_KIND, query.organization, -waiting[room - 1][0] if room else 0),
    )


async def _never_sent(
    store: ReadStore, query: ListMetrics, said: Mapping[str, MetricDescribed], *, after: int
) -> list[tuple[int, MetricDescribed]]:
    """Each with its place in the order, which is above 0."""
    wanted = [name for name in said if query.name is None or name == query.name]
    if not wanted:
        return []
    sent = await store.read(
        query.organization, select(metrics.c.name).where(metrics.c.name.in_(wanted), _used())
    )
    unsent = set(wanted) - {row.name for row in sent}
    placed = [(int(metric_id(query.organization, name)[:15], 16) + 1, said[name]) for name in unsent]
    return sorted((each for each in placed if each[0] > after), key=lambda each: each[0])


def _used() -> ColumnElement[bool]:
    return select(metric_uses.c.metric).where(metric_uses.c.metric == metrics.c.id).exists()


def statement(query: ListMetrics, before: int | None) -> Select[Any]:
    wanted = [_used()]
    if query.name is not None:
        wanted.append(metrics.c.name == query.name)
    if before is not None:
        wanted.append(metrics.c.id < before)
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


def _row(row: Row[Any], said: MetricDescribed | None) -> MetricRow:
    uses = tuple(MetricUse.model_validate({**use, "unit": use["unit"] or None}) for use in row.uses)
    units = {use.unit for use in uses if use.unit is not None}
    kinds = {use.kind for use in uses}
    learnt = MetricRow(
        name=row.name,
        kind=uses[0].kind,
        unit=next((use.unit for use in uses if use.unit is not None), None),
        conflict=len(units) > 1 or len(kinds) > 1,
        uses=uses,
    )
    return learnt if said is None else learnt.model_copy(update=_said(said))


def _unsent(said: MetricDescribed) -> MetricRow:
    nothing = MetricRow(name=said.name, kind=None, unit=None, conflict=False, uses=())
    return nothing.model_copy(update=_said(said))


def _said(said: MetricDescribed) -> dict[str, Any]:
    return {**said.model_dump(exclude={"name"}, exclude_none=True), "described": True}
