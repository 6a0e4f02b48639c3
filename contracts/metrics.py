"""What people say of a metric: its unit, label, kind; it stands before what devices say and what is learnt."""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import Field

from contracts.calls import Call, Model, Nothing, Request
from contracts.decoders.limits import METRIC_CHARS_MAX, UNIT_CHARS_MAX
from contracts.envelope import Event
from contracts.telemetry import Kind

DESCRIBED_MAX = 2000  # metrics of an organization that people may describe

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
MetricName = Annotated[str, Field(min_length=1, max_length=METRIC_CHARS_MAX, pattern=_PRINTABLE)]
Unit = Annotated[str, Field(min_length=1, max_length=UNIT_CHARS_MAX, pattern=_PRINTABLE)]
Label = Annotated[str, Field(min_length=1, max_length=100, pattern=_PRINTABLE)]
Words = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]


def metric_id(organization: str, name: str) -> str:
    """A token that is safe in a subject; no two organizations share one."""
    return hashlib.sha256(f"{organization}\n{name}".encode()).hexdigest()[:32]


# events
class MetricDescribed(Event):
    """The whole of what was set, in the place of what was set before."""

    type = "metric.described"
    name: str
    unit: str | None = None
    label: str | None = None
    description: str | None = None
    kind: Kind | None = None


class MetricCleared(Event):
    """Nobody says anything of it: what is learnt holds again."""

    type = "metric.cleared"
    name: str


# commands
class DescribeMetric(Request):
    """Also one that was never sent. Refused("limit.reached") above DESCRIBED_MAX."""

    name: MetricName
    unit: Unit | None = None
    label: Label | None = None
    description: Words | None = None
    kind: Kind | None = None


class ClearMetric(Request):
    """Refused("not_found") where nobody ever said anything of it; again is harmless."""

    name: MetricName


class MetricDescription(Model):
    """What people said; `unit` is that of readings that come without one."""

    name: str
    unit: str | None = None
    label: str | None = None
    description: str | None = None
    kind: Kind | None = None


DESCRIBE_METRIC = Call("command.credentials.describe-metric", DescribeMetric, MetricDescription)
CLEAR_METRIC = Call("command.credentials.clear-metric", ClearMetric, Nothing)
