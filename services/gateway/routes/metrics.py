"""Metrics: what devices measure, in which units, and what people say of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from litestar import Request, delete, get, put
from litestar.params import JSONBody
from pydantic import TypeAdapter, ValidationError

from contracts.calls import Page
from contracts.failures import Refused
from contracts.metrics import (
    CLEAR_METRIC,
    DESCRIBE_METRIC,
    ClearMetric,
    DescribeMetric,
    Label,
    MetricDescription,
    MetricName,
    Unit,
    Words,
)
from contracts.telemetry import LIST_METRICS, Kind, ListMetrics, MetricRow
from services.gateway.bodies import Body
from services.gateway.parameters import Caller, CommandId, Cursor, Id, Limit, Text
from services.gateway.state import Backend

_PLACE = "/v1/metrics/"
_NAME: TypeAdapter[str] = TypeAdapter(MetricName)


class MetricToSet(Body):
    """All that is set: what is left out is what is learnt, again."""

    unit: Unit | None = None
    label: Label | None = None
    description: Words | None = None
    kind: Kind | None = None


@get("/v1/metrics")
async def list_metrics(
    gateway: Backend, caller: Caller, name: Text = None, limit: Limit = 100, cursor: Cursor = None
) -> Page[MetricRow]:
    """List metrics with the units and kinds in which devices send them, the newest use first.

    `conflict`: there is more than one unit, or kind, under this name. What a device says is noted once a day.
    `described`: people set its unit, label, description or kind; those that nobody sent yet come last."""
    query = ListMetrics(organization=caller.organization, name=name, limit=limit, cursor=cursor)
    return await gateway.ask(LIST_METRICS, query)


@put("/v1/metrics/{metric:path}", opt={"failures": ("limit.reached", "organization.deleted")})
async def describe_metric(
    metric: Id,
    data: JSONBody[MetricToSet],
    request: Request[Any, Any, Any],
    gateway: Backend,
    caller: Caller,
    command_id: CommandId,
) -> MetricDescription:
    """Set the unit, label, description and kind of a metric, also before it is first sent.

    The unit is shown with readings that come without one; what a device says itself stays. A name may hold `/`."""
    del metric  # as the router reads it
    command = DescribeMetric(
        organization=caller.organization,
        actor=caller.actor,
        command_id=command_id,
        name=_named(request),
        **data.model_dump(),
    )
    return await gateway.ask(DESCRIBE_METRIC, command)


@delete("/v1/metrics/{metric:path}", opt={"failures": ("organization.deleted",)})
async def clear_metric(
    metric: str, request: Request[Any, Any, Any], gateway: Backend, caller: Caller
) -> None:
    """Take back what people said of a metric: what is learnt holds again. Its readings stay."""
    del metric  # as the router reads it
    command = ClearMetric(organization=caller.organization, actor=caller.actor, name=_named(request))
    await gateway.ask(CLEAR_METRIC, command)


def _named(request: Request[Any, Any, Any]) -> str:
    """The name as it was written: the router would take `a//b` for `a/b`. Refused("not_found") for none."""
    path = request.scope["raw_path"].split(b"?")[0].decode("ascii", "replace")
    try:
        return _NAME.validate_python(unquote(path, errors="strict").removeprefix(_PLACE))
    except (ValidationError, UnicodeDecodeError):
        raise Refused("not_found", "no metric has this name") from None


ROUTES = [list_metrics, describe_metric, clear_metric]
