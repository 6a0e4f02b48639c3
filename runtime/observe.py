"""Logs (JSON with trace ids), traces and metrics, the same for every service.

Traces leave by OTLP when the standard variables ask for it (`OTEL_EXPORTER_OTLP_ENDPOINT`), as many of them as
`OTEL_TRACES_SAMPLER` says. `/metrics` is always there; where `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` is set metrics leave
by OTLP as well. Both tell durations with the traces that they were measured in, as exemplars.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Counter, Histogram, UpDownCounter
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider, TraceBasedExemplarFilter
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from contracts.envelope import TRACEPARENT
from runtime.exposition import ScrapedReader
from runtime.sampling import sampler

tracer = trace.get_tracer("hybridmq")
meter = metrics.get_meter("hybridmq")
_propagator = TraceContextTextMapPropagator()
LINKS_MAX = 128  # what the SDK keeps of a batch's links
DURATIONS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds of a histogram's buckets: a call takes a millisecond, an export half a minute. The SDK's own begin at 5."""
_from_zero: list[tuple[Counter | UpDownCounter, Mapping[str, str]]] = []
_exporting = False


def set_up(service: str, level: str = "INFO") -> None:
    """Once per process, before anything logs."""
    resource = Resource.create({SERVICE_NAME: f"hybridmq-{service}"})
    provider = TracerProvider(resource=resource, sampler=sampler())
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        global _exporting  # noqa: PLW0603 — once per process
        _exporting = True
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    readers: list[MetricReader] = [ScrapedReader()]
    if os.environ.get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"):
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    # Of traces that nobody gets there are no exemplars: they would lead nowhere.
    exemplars = TraceBasedExemplarFilter() if _exporting else AlwaysOffExemplarFilter()
    metrics.set_meter_provider(
        MeterProvider(resource=resource, metric_readers=readers, exemplar_filter=exemplars)
    )
    for counter, labels in _from_zero:
        counter.add(0, labels)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_trace,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(
        stream=sys.stdout, level=logging.WARNING, format='{"level":"%(levelname)s","event":"%(message)s"}'
    )


def duration(name: str, description: str) -> Histogram:
    """A histogram of seconds."""
    return meter.create_histogram(
        name, unit="s", description=description, explicit_bucket_boundaries_advisory=DURATIONS_S
    )


def from_zero(counter: Counter | UpDownCounter, *labels: Mapping[str, str]) -> None:
    """Tells it with these labels (with none where none are named) before it counts anything.

    A series that begins with its first event has no increase then: a graph does not show it, no alert hears of it.
    """
    for each in labels or ({},):
        _from_zero.append((counter, each))
        counter.add(0, each)  # in a process that is set up already


def log(**bound: Any) -> structlog.stdlib.BoundLogger:
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(**bound)
    return logger


def _add_trace(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format(context.trace_id, "032x")
        event["span_id"] = format(context.span_id, "016x")
    return event


def traceparent() -> str | None:
    """The current span as a W3C `traceparent`, or None outside any."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get(TRACEPARENT)


@contextmanager
def beginning(name: str, *, links: list[str], messages: int) -> Iterator[str]:
    """A span of what came from outside, as the `traceparent` of all that has none of its own.

    Where nobody gets the spans none is made: one costs 70 µs, more than all else that is done for a message.
    """
    if not _exporting:
        yield f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
        return
    with span(name, links=links, kind=SpanKind.CONSUMER, messages=messages):
        yield traceparent() or ""


def with_trace(headers: dict[str, str]) -> dict[str, str]:
    """The same headers, with the current trace in them."""
    _propagator.inject(headers)
    return headers


def remote_context(value: str) -> SpanContext:
    """The span that a `traceparent` names; invalid (`is_valid` false) where it cannot be read."""
    context = _propagator.extract({TRACEPARENT: value})
    return trace.get_current_span(context).get_span_context()


@contextmanager
def span(
    name: str,
    *,
    parent: Mapping[str, str] | None = None,
    links: list[str] | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    **attributes: str | float | bool,
) -> Iterator[Span]:
    """A span; `parent` are the headers that the work came with, `links` the traceparents of a batch."""
    context = _propagator.extract(parent) if parent and parent.get(TRACEPARENT) else None
    linked = [Link(remote_context(value)) for value in (links or [])[:LINKS_MAX]]
    with tracer.start_as_current_span(
        name, context=context, links=linked, kind=kind, attributes=attributes
    ) as current:
        yield current


def mark_failed(current: Span, reason: str) -> None:
    current.set_status(Status(StatusCode.ERROR, reason))
